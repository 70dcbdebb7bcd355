"""Bounds on what is read. A file beyond them is refused, whatever it holds.

The figures leave room for every real model measured (a vocabulary as text compresses 40 times, the
deepest benign tree has 21 levels) and keep the cost of a hostile file small.
"""

from __future__ import annotations

import resource

KIB, MIB, GIB = 2**10, 2**20, 2**30

SECONDS = 120  # by the clock
CPU_SECONDS = 10, 4 / MIB, 120  # least, per byte without compression, most
MEMORY_BYTES = 512 * MIB, 64, 4 * GIB  # of address space: least, per byte without compression, most
DESCRIPTORS = 16  # that it has open at a time
ANSWER_BYTES = 64 * MIB

FILE_BYTES = 16 * GIB
STREAM_BYTES = 64 * GIB  # decompressed
STREAM_RATIO = 200  # decompressed bytes per byte of the file
STREAM_FLOOR = 32 * MIB  # below this the ratio is not asked: arrays of zeros shrink 1,000 times
CODEC_BYTES = 256 * MIB  # memory that a decompressor may take for its dictionary

OPCODES = 4_000_000, 8, 50_000_000  # least, per byte of the file, most
ARGUMENTS, ARGUMENTS_FLOOR = 4, 100_000  # of all calls together, for each opcode; in real files 1
MARKS = 10_000
DEPTH = 200  # of the tree of values
REPEATS = 100  # how often the average value may be reached by another path
HELD, HELD_FLOOR = 10, 1_000_000  # values that all objects hold together, for each that is written
GLOBALS = 5_000  # distinct names
NAME_CHARACTERS = 512
LINE_BYTES = 64 * KIB  # an argument of the text protocols
ARRAY_LINE_BYTES = 256 * MIB  # of protocol 0, which writes the bytes of an array as one line
INTEGER_BYTES = KIB

KEPT_BYTES = MIB  # the largest single value that is kept; of longer ones, the head
KEPT_TOTAL = 32 * MIB  # of all values beyond SMALL_BYTES together
MODEL_BYTES = 16 * MIB  # the same of a booster, which its library saves as one value
MODEL_HEAD_BYTES = 256 * KIB
SMALL_BYTES = 4 * KIB
HEAD_BYTES = 4 * KIB

TREE_DEPTH = 1_000
"""Libraries go down trees by recursion: onnxruntime takes 350 to 840 bytes of stack a level, and
XGBoost 28 to 105. A thread of 1 MiB has room for these levels. Real trees have tens or hundreds.
"""

NATIVE_BYTES = GIB  # of a model in the format of its own library, which is read as a whole

MEMBERS = 200_000  # of a zip archive
SCHEMA_BYTES = 256 * MIB  # of the JSON text of a skops file
STATES_DEPTH = 100  # of the states in it; those of a stack of grid searches have 40 levels


def memory(size: int) -> int:
    """Return the bytes of address space for reading `size` bytes without compression.

    An interpreter with the inspector maps 30 MiB, a decompressor's dictionary takes up to 256 MiB.
    Of honest files, small dicts take most: 43 bytes for each byte of the pickle.
    """
    return int(_scaled(MEMORY_BYTES, size))


def cpu_seconds(size: int) -> int:
    """Return the seconds of CPU time for reading `size` bytes without compression.

    Of honest files, small dicts take most: 1 second for each MB of the pickle.
    """
    return int(_scaled(CPU_SECONDS, size))


def opcodes(size: int) -> int:
    """How many opcodes a file of `size` bytes may have: what costs time is not had for nothing.

    A vocabulary of two million numbered terms has 2.5 for each byte that xz has left of it.
    """
    return int(_scaled(OPCODES, size))


def _scaled(figures: tuple[int, float, int], size: int) -> float:
    least, per_byte, most = figures
    return min(least + per_byte * size, most)


# How large a compressed file is shows only while it is read. The limits of the process that reads
# begin with what any file may take, and grow with each piece. The kernel enforces them: a check in
# Python would not stop a loop in C.
class Quota:
    """The limits of this process for CPU time and address space.

    The hard limits are those for the largest file. A process that does not call `begin` has no
    limits.
    """

    def __init__(self) -> None:
        self._begun = False
        self._size = 0

    def begin(self) -> None:
        """Limit this process to the cost of an empty file."""
        self._begun = True
        _limit(resource.RLIMIT_AS, memory(0), MEMORY_BYTES[-1])
        _limit(resource.RLIMIT_CPU, cpu_seconds(0), CPU_SECONDS[-1])

    def add(self, count: int) -> None:
        """Raise the limits by what `count` more bytes may cost."""
        self._size += count
        if self._begun:
            _raise(resource.RLIMIT_AS, memory(self._size))
            _raise(resource.RLIMIT_CPU, cpu_seconds(self._size))


def _limit(which: int, soft: int, hard: int) -> None:
    _, allowed = resource.getrlimit(which)
    hard = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
    resource.setrlimit(which, (min(soft, hard), hard))


def _raise(which: int, soft: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (min(soft, hard), hard))


OWN = Quota()
"""That of this process."""
