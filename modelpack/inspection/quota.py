"""What reading a file may cost: CPU time and memory, by its size without compression.

How large a compressed file is shows only while it is read. The limits of the process that reads
begin with what any file may take, and grow with each piece. The kernel enforces them: a check in
Python would not stop a loop in C.
"""

from __future__ import annotations

import resource

from . import limits


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
        _limit(resource.RLIMIT_AS, limits.memory(0), limits.MEMORY_BYTES[-1])
        _limit(resource.RLIMIT_CPU, limits.cpu_seconds(0), limits.CPU_SECONDS[-1])

    def add(self, count: int) -> None:
        """Raise the limits by what `count` more bytes may cost."""
        self._size += count
        if self._begun:
            _raise(resource.RLIMIT_AS, limits.memory(self._size))
            _raise(resource.RLIMIT_CPU, limits.cpu_seconds(self._size))


def _limit(which: int, soft: int, hard: int) -> None:
    _, allowed = resource.getrlimit(which)
    hard = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
    resource.setrlimit(which, (min(soft, hard), hard))


def _raise(which: int, soft: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (min(soft, hard), hard))


OWN = Quota()
"""That of this process."""
