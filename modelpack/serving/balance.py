"""Even distribution of connections among the workers.

All workers accept from the same listeners. Without further measures, a client that opens several
connections at once often gets all of them from the one worker that happens to be awake, and keeps
them, while the other processors are idle. So the workers publish how many connections they have.
One that has more than another leaves new connections to the others for a moment, and closes a
surplus of its own after their next responses.
"""

from __future__ import annotations

import mmap
import time
from typing import Sequence

MAX_WORKERS = 64
"""Workers with higher slots take no part."""
FEW = 4
"""Connections up to which workers take turns. More are accepted several at a time."""
PAUSE_SECONDS = 0.002
"""For another worker to take a connection. One that is busy for longer gets it as a surplus later:
clients should not wait for it."""
SILENT_SECONDS = 0.75
"""After which a worker is left out that should publish its count four times a second."""
ABSENT = -1
"""In place of the count of a worker that accepts no connections."""


class ConnectionCounts:
    """The number of connections of each worker, by its slot, in memory that all workers share."""

    def __init__(self) -> None:
        self.counts = memoryview(mmap.mmap(-1, MAX_WORKERS * 4)).cast("i")
        self.times = memoryview(mmap.mmap(-1, MAX_WORKERS * 8)).cast("d")
        for slot in range(MAX_WORKERS):
            self.counts[slot] = ABSENT

    def forget(self, slot: int) -> None:
        """Remove the count of a worker that accepts no connections. A signal handler may do so."""
        if slot < MAX_WORKERS:
            self.counts[slot] = ABSENT


COUNTS = ConnectionCounts()
"""Created in the master, before it forks the workers."""


class Share:
    """The share of one worker in the connections."""

    def __init__(self, slot: str | None, shared: ConnectionCounts = COUNTS) -> None:
        """`slot`: of the worker; None if the configuration gives it none."""
        self._slot = MAX_WORKERS if slot is None else int(slot)
        self._shared = shared
        self._others: Sequence[int] = ()
        self._surplus = 0

    def publish(self, count: int) -> None:
        """Publish the number of connections of this worker."""
        if self._slot < MAX_WORKERS:
            self._shared.counts[self._slot] = count

    def leave(self) -> None:
        """Publish that this worker accepts no more connections."""
        self._shared.forget(self._slot)
        self._others, self._surplus = (), 0

    def tick(self, count: int) -> None:
        """Publish that this worker responds, and look for the others that do."""
        if self._slot >= MAX_WORKERS:
            return
        now = time.monotonic()
        self._shared.times[self._slot] = now
        times = enumerate(self._shared.times)
        self._others = [n for n, at in times if now - at < SILENT_SECONDS and n != self._slot]
        self._surplus = self._excess(count)

    def _excess(self, count: int) -> int:
        """Return how many of `count` connections have to move to make the counts equal."""
        fewest = self._fewest()
        return 0 if fewest is None else max(0, (count - fewest) // 2)

    def _fewest(self) -> int | None:
        """Return the lowest count of the other workers that respond, None if there are none."""
        counts = (self._shared.counts[slot] for slot in self._others)
        return min((count for count in counts if count != ABSENT), default=None)

    def lead(self, count: int, *, is_full: bool = False) -> int | None:
        """Return how many more connections than others this worker has, with `count` of them.

        Of many, half do not count: while clients wait, it matters more that they are accepted, and
        a surplus moves later. All count if the worker `is_full` and would reject one more.

        None: no other worker accepts connections.
        """
        fewest = self._fewest() if self._others else None
        if fewest is None:
            return None
        ignored = 0 if is_full else max(0, count - FEW) // 2
        return count - ignored - fewest

    def take_surplus(self, count: int) -> bool:
        """Return whether to close one of `count` connections, which another worker should have.

        There are so many until the next tick as made the counts equal at the last one, unless other
        connections have ended since then.
        """
        if self._surplus:
            self._surplus = min(self._surplus, self._excess(count))
        is_surplus = self._surplus > 0
        self._surplus -= is_surplus
        return is_surplus
