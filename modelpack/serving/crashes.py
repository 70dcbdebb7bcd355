"""Workers that crash are replaced. When too many crash within a minute, the service ends.

gunicorn halts when a worker exits with 3 or 4, its codes for a worker that cannot start. A model
can call `os._exit(3)` just as well, so the code alone is not enough: each worker has a byte of
memory, shared with the master, that holds how far it has come.
"""

from __future__ import annotations

import logging
import mmap
import os
import sys
import time
from collections import deque
from typing import Any, Mapping

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from . import settings

log = logging.getLogger("modelpack.serving")

VARIABLE = "MODELPACK_MAX_CRASHES"
DEFAULT = "30"
SECONDS = 60
STARTING, SERVING, ENDED = range(3)

_reap_workers = Arbiter.reap_workers


class Life:
    """The state of a worker, in memory shared with the master, which sets `reaped` at its end."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)
        self.reaped = False

    @property
    def state(self) -> int:
        return self._memory[0]

    @state.setter
    def state(self, state: int) -> None:
        self._memory[0] = state


class Crashes:
    """The crashes of the last minute, as the master counts them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the limit. Raise StartupError if MODELPACK_MAX_CRASHES is not a positive integer."""
        self._max = settings.positive_integer(VARIABLE, environ.get(VARIABLE) or DEFAULT)
        self._times: deque[float] = deque()
        self._logged = 0.0

    def count(self, worker: Any) -> None:
        """Count the end of a worker, if it is a crash. A signal handler may run this."""
        worker.life.reaped = True
        if worker.life.state != ENDED:
            self._times.append(time.monotonic())

    def check(self) -> None:
        """Log the crashes since the last call.

        Raises:
            HaltServer: There were too many.
        """
        now = time.monotonic()
        while self._times and self._times[0] < now - SECONDS:
            self._times.popleft()
        if not self._times or self._times[-1] <= self._logged:
            return
        self._logged = self._times[-1]
        count = len(self._times)
        facts = {"crashes": count, "seconds": SECONDS, "most": self._max}
        log.error("a worker crashed and is replaced", extra={"facts": facts})
        if count > self._max:
            raise HaltServer(f"{count} workers crashed within {SECONDS} s.", 1)


def is_orderly() -> bool:
    """Return whether the worker that is ending now ends because it was stopped."""
    error = sys.exc_info()[1]
    return error is None or (isinstance(error, SystemExit) and not error.code)


def reap_workers(arbiter: Any) -> None:
    """Reap workers as gunicorn does, but halt only for one that exits before it serves."""
    while True:
        workers = dict(arbiter.WORKERS)
        try:
            _reap_workers(arbiter)
        except HaltServer:
            crashed = [(pid, each) for pid, each in workers.items() if _has_crashed(pid, each.life)]
            if not crashed:
                raise
        else:
            return
        for pid, worker in crashed:
            arbiter.WORKERS.pop(pid, None)
            worker.tmp.close()
            arbiter.cfg.child_exit(arbiter, worker)


def _has_crashed(pid: int, life: Life) -> bool:
    """Return whether gunicorn has reaped a worker that was serving, and has gone no further."""
    if life.reaped or life.state == STARTING:
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False
