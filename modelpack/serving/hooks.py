"""Hooks of gunicorn. gunicorn.conf.py imports them by name."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, Iterable

from gunicorn import arbiter
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.http import wsgi

from .observability import multiprocess

multiprocess.prepare()  # before the first metric is created

from . import balance, crashes, settings  # noqa: E402
from .observability import metrics, tracing  # noqa: E402
from .security import confinement  # noqa: E402

log = logging.getLogger("modelpack.serving")


class NamelessResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response without the header `Server`."""

    def default_headers(self) -> list[str]:
        lines = super().default_headers()
        return [line for line in lines if not line.startswith("Server:")]


_load = WSGIApplication.load
_is_confined = False


def load(application: WSGIApplication) -> Any:
    """Confine the master before it opens the model file, then load the application.

    SIGHUP loads the application again, but the process is confined once. Whatever libraries print,
    here or in a worker, goes to standard error, as the logs do.
    """
    global _is_confined  # noqa: PLW0603
    os.dup2(2, 1)
    if application.cfg.preload_app and confinement.is_enabled(os.environ) and not _is_confined:
        _is_confined = True
        network = confinement.ALL if tracing.is_configured(os.environ) else confinement.LISTENING
        _confine(network, _writable_directories(application.cfg))
    return _load(application)


def _writable_directories(config: Any) -> list[str]:
    """Return the directories of files that gunicorn creates after the model is loaded."""
    sockets = [address for address in config.address if isinstance(address, str)]
    return [str(Path(path).resolve().parent) for path in (*sockets, config.pidfile) if path]


class _Clock:
    """`time` for a master that stops. Its `sleep` ends with a child."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not _has_ended_child():
            time.sleep(_POLL_SECONDS)


_POLL_SECONDS = 0.005


def _has_ended_child() -> bool:
    """Return whether a child has ended and was not reaped yet, or whether no child is left."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


_stop = arbiter.Arbiter.stop


def stop(master: Any, graceful: bool = True) -> None:
    """Stop as gunicorn does, but without its sleep of 0.1 s after the last worker has ended."""
    arbiter.time = _Clock()
    try:
        _stop(master, graceful)
    finally:
        arbiter.time = time


WSGIApplication.load = load
wsgi.Response = NamelessResponse
arbiter.Arbiter.reap_workers = crashes.reap_workers
arbiter.Arbiter.stop = stop

_ended: deque[str] = deque()  # slots of workers that have ended and are not counted yet
_crashes = crashes.Crashes(os.environ)


def pre_fork(master: Any, worker: Any) -> None:
    """Give the worker the first free slot. Raise HaltServer if too many workers have crashed."""
    worker.life = crashes.Life()
    _crashes.check()
    while _ended:
        _ended.popleft()
        metrics.WORKER_EXITS.inc()
    taken = {other.slot for other in master.WORKERS.values()}
    worker.slot = next(str(n) for n in range(len(taken) + 1) if str(n) not in taken)


def post_fork(_arbiter: Any, worker: Any) -> None:
    """Count the worker, and confine it before it reads a request."""
    multiprocess.Files.slot = worker.slot
    metrics.WORKERS.set(1)
    if confinement.is_enabled(os.environ):
        network = confinement.ALL if tracing.is_configured(os.environ) else confinement.NO_NETWORK
        if network == confinement.NO_NETWORK and settings.grpc_port(os.environ) is not None:
            network = confinement.LISTENING  # gRPC cannot use a socket of the master
        _confine(network)


def _confine(network: str, writable: Iterable[str] = ()) -> None:
    """Confine this process, which has open listeners and no threads yet."""
    paths = [*map(str, filter(None, [multiprocess.Files.folder])), *writable]
    for missing in confinement.confine(paths, network=network, processes=True):
        log.info("the process is confined only in part, %s", missing)


def post_worker_init(worker: Any) -> None:
    """Start tracing, now that the worker handles signals: SIGTERM would be lost during imports."""
    tracing.start()
    worker.life.state = crashes.SERVING


def worker_exit(_arbiter: Any, worker: Any) -> None:
    """Send the last spans, in the worker."""
    if crashes.is_orderly():
        worker.life.state = crashes.ENDED
    tracing.stop()


def child_exit(_arbiter: Any, worker: Any) -> None:
    """Record the end of a worker, in the master.

    In older releases of gunicorn this runs in the handler of SIGCHLD, which may interrupt itself.
    So it takes no lock, and `pre_fork` increments the metric.
    """
    _crashes.count(worker)
    balance.COUNTS.forget(int(worker.slot))
    multiprocess.forget(worker.slot)
    _ended.append(worker.slot)
