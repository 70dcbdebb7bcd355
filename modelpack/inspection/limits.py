"""Limits of reading. A file that exceeds one is refused.

All measured real models are far below (a vocabulary as text compresses 40 times, the deepest benign
tree of values has 21 levels). The cost of a hostile file is small.
"""

from __future__ import annotations

import resource

KIB, MIB, GIB = 2**10, 2**20, 2**30

SECONDS = 120  # wall time
CPU_SECONDS = 10, 4 / MIB, 120  # minimum, per byte without compression, maximum
MEMORY_BYTES = 512 * MIB, 64, 4 * GIB  # address space: minimum, per byte, maximum
DESCRIPTORS = 16  # open files
RESPONSE_BYTES = 64 * MIB

FILE_BYTES = 16 * GIB
STREAM_BYTES = 64 * GIB  # decompressed
STREAM_RATIO = 200  # decompressed bytes per byte of the file
STREAM_FLOOR = 32 * MIB  # below this the ratio does not matter: arrays of zeros shrink 1,000 times
CODEC_BYTES = 256 * MIB  # memory that a decompressor may take for its dictionary

OPCODES = 4_000_000, 8, 50_000_000  # minimum, per byte of the file, maximum
ARGUMENTS, ARGUMENTS_FLOOR = 4, 100_000  # of all calls, per opcode; in real files 1
MARKS = 10_000
DEPTH = 200  # of the tree of values
REPEATS = 100  # paths to the average value
HELD, HELD_FLOOR = 10, 1_000_000  # values in all objects, per value in the file
GLOBALS = 5_000  # distinct names
NAME_CHARACTERS = 512
LINE_BYTES = 64 * KIB  # an argument of the text protocols
ARRAY_LINE_BYTES = 256 * MIB  # protocol 0 writes the bytes of an array as one line
INTEGER_BYTES = KIB

KEPT_BYTES = MIB  # the largest value that is kept; of larger ones, only the head
KEPT_TOTAL = 32 * MIB  # all kept values larger than SMALL_BYTES
MODEL_BYTES = 16 * MIB  # the largest booster that is kept; its library saves it as one value
MODEL_HEAD_BYTES = 256 * KIB
SMALL_BYTES = 4 * KIB
HEAD_BYTES = 4 * KIB

TREE_DEPTH = 1_000
"""Libraries visit trees by recursion: onnxruntime needs 350 to 840 bytes of stack per level,
XGBoost 28 to 105. A thread with 1 MiB has room for this depth. Real trees have tens or hundreds of
levels.
"""

NATIVE_BYTES = GIB  # a model that is not a pickle; it is read into memory as a whole

MEMBERS = 200_000  # of a zip archive
SCHEMA_BYTES = 256 * MIB  # of the JSON text of a skops file
STATES_DEPTH = 100  # of the states in it; a stack of grid searches has 40 levels


def memory(size: int) -> int:
    """Return the bytes of address space for reading `size` bytes without compression.

    The inspector maps 30 MiB, and the dictionary of a decompressor takes up to 256 MiB. The most
    expensive honest files contain small dicts: 43 bytes per byte of the pickle.
    """
    return int(_scaled(MEMORY_BYTES, size))


def cpu_seconds(size: int) -> int:
    """Return the seconds of CPU time for reading `size` bytes without compression.

    The most expensive honest files contain small dicts: 1 second per MB of the pickle.
    """
    return int(_scaled(CPU_SECONDS, size))


def opcodes(size: int) -> int:
    """Return the number of opcodes that a file of `size` bytes may have.

    A vocabulary of two million numbered terms has 2.5 opcodes per byte after compression by xz.
    """
    return int(_scaled(OPCODES, size))


def _scaled(figures: tuple[int, float, int], size: int) -> float:
    minimum, per_byte, maximum = figures
    return min(minimum + per_byte * size, maximum)


# The size of a compressed file is known only after it was read. The limits of the process start
# with the minimum and grow with each piece. The kernel enforces them, because a check in Python
# would not stop a loop in C.
class Quota:
    """The limits of this process for CPU time and address space. `begin` activates them.

    The hard limits are those of the largest file.
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
        """Raise the limits by the cost of `count` more bytes."""
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
"""The quota of this process."""
