"""The worker process."""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Mapping

from gunicorn.workers import base

from .. import memory, settings
from ..errors import StartupError
from ..settings import Limits
from .loop import Loop

RECYCLE_SECONDS = 5.0
"""For requests that wait behind a prediction that does not end. Then a new process takes over."""

RPC_MODULES = ("grpc", "google", "modelpack.serving.rpc")
"""What gRPC needs, in images of `modelpack package --grpc`."""

SPARE_FILES = 16
"""For files that the model and its libraries open later, and for a connection to reject."""


class Worker(base.Worker):  # type: ignore[misc]
    """`worker_class = "modelpack.serving.server.Worker"` in gunicorn.conf.py."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.cfg.is_ssl:
            raise StartupError(
                "this worker has no TLS. "
                "Run a proxy with TLS, or start gunicorn with --worker-class gthread."
            )
        self.limits = memory.current(os.environ)
        self._grpc_port = _usable_grpc_port(os.environ)
        self._recycling = False
        self._is_orphan = False

    @property
    def pid(self) -> Any:
        return self._pid

    @pid.setter
    def pid(self, pid: Any) -> None:
        """Block SIGTERM, which would be lost, from the fork until the worker handles signals.

        gunicorn sets the id before the fork and, in both processes, right after it.
        """
        self._pid = pid
        is_master_after_fork = isinstance(pid, int) and pid != os.getpid()
        how = signal.SIG_UNBLOCK if is_master_after_fork else signal.SIG_BLOCK
        signal.pthread_sigmask(how, {signal.SIGTERM})

    def init_signals(self) -> None:
        """Install gunicorn's handlers, then receive SIGTERM again."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def run(self) -> None:
        """Serve until SIGTERM, the end of the master, or a prediction that does not end."""
        limits = _within_open_files(self.limits)
        loop = Loop(self.wsgi, self.cfg, limits, on_tick=self._check_in, recycle=self._recycle)
        loop.join(getattr(self, "slot", None))  # set by `hooks.pre_fork`
        loop.wake_by(self.PIPE[0])
        for listener in self.sockets:
            loop.listen(listener)
        rpc = self._start_rpc(loop, limits)
        while self.alive and not self._recycling and not self._is_orphan:
            loop.turn()
            self._recycling = self._recycling or loop.requests >= self.max_requests
        last = not self._recycling
        seconds = max(1.0, self.cfg.graceful_timeout - 1.0) if last else RECYCLE_SECONDS
        stopped = rpc.stop(seconds) if rpc else None
        loop.drain(seconds, last=last)
        while not loop.drained() or (stopped and not stopped.is_set()):
            loop.turn()
        sys.exit(0)

    def _start_rpc(self, loop: Loop, limits: Limits) -> Any:
        """Start gRPC, whose threads do not survive a fork. Return its server, or None."""
        if self._grpc_port is None:
            return None
        from ..rpc import server  # noqa: PLC0415 - only in images with gRPC

        return server.start(limits, loop.adopt, self._grpc_port)

    def _check_in(self) -> None:
        """Send a heartbeat to the master, and check whether the master is alive."""
        self.notify()
        self._is_orphan = os.getppid() != self.ppid

    def _recycle(self) -> None:
        self.log.error("A prediction does not end: worker %s is replaced", self.pid)
        self._recycling = True


def _usable_grpc_port(environ: Mapping[str, str]) -> int | None:
    """Return the port of gRPC, None if it is not set. Raise StartupError if it cannot be used."""
    port = settings.grpc_port(environ)
    if port is not None and not all(map(find_spec, RPC_MODULES)):
        raise StartupError(
            f"{settings.GRPC_PORT} is set, but the image has no gRPC. "
            "Package the model with --grpc."
        )
    return port


def _within_open_files(limits: Limits) -> Limits:
    """Return limits with no more connections than files that this process can open."""
    max_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        free = max_files - len(list(Path("/proc/self/fd").iterdir())) - SPARE_FILES
    except OSError:
        return limits
    return replace(limits, connections=max(1, min(limits.connections, free)))
