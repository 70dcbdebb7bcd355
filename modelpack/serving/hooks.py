"""What gunicorn calls in the life of a worker: gunicorn.conf.py imports them by these names."""

from __future__ import annotations

import logging
import os
from collections import deque
from pathlib import Path
from typing import Any, Iterable

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi

from .observability import multiprocess

multiprocess.prepare()  # before the first metric is made

from . import crashes  # noqa: E402
from .observability import metrics, tracing  # noqa: E402
from .security import confinement  # noqa: E402

log = logging.getLogger("modelpack.serving")


class NamelessResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, without the header that tells what serves."""

    def default_headers(self) -> list[str]:
        lines = super().default_headers()
        return [line for line in lines if not line.startswith("Server:")]


_load = WSGIApplication.load
_is_confined = False


def load(application: WSGIApplication) -> Any:
    """Confine the master before it opens the model's file, which all workers share; once, as SIGHUP
    loads again.
    """
    global _is_confined  # noqa: PLW0603
    if application.cfg.preload_app and confinement.is_enabled(os.environ) and not _is_confined:
        _is_confined = True
        network = confinement.ALL if tracing.is_configured(os.environ) else confinement.LISTENING
        _confine(network, _written(application.cfg))
    return _load(application)


def _written(config: Any) -> list[str]:
    """The folders of files that gunicorn makes after the model is loaded."""
    sockets = [address for address in config.address if isinstance(address, str)]
    return [str(Path(path).resolve().parent) for path in (*sockets, config.pidfile) if path]


WSGIApplication.load = load
wsgi.Response = NamelessResponse
Arbiter.reap_workers = crashes.reap_workers

_ended: deque[str] = deque()  # places of workers that have ended and are not counted yet
_crashes = crashes.Crashes(os.environ)


def pre_fork(arbiter: Any, worker: Any) -> None:
    """Give the worker the first place that no living one has.

    Raises:
        HaltServer: Too many workers have crashed.
    """
    worker.life = crashes.Life()
    _crashes.check()
    while _ended:
        _ended.popleft()
        metrics.WORKER_EXITS.inc()
    taken = {other.place for other in arbiter.WORKERS.values()}
    worker.place = next(str(n) for n in range(len(taken) + 1) if str(n) not in taken)


def post_fork(_arbiter: Any, worker: Any) -> None:
    multiprocess.Files.place = worker.place
    metrics.WORKERS.set(1)
    if confinement.is_enabled(os.environ):
        network = confinement.ALL if tracing.is_configured(os.environ) else confinement.NO_NETWORK
        _confine(network)


def _confine(network: str, writable: Iterable[str] = ()) -> None:
    """Build the inner wall. A worker has no threads yet, which would stay outside, and has not read
    a byte of a stranger; its listening sockets are open. Spans are all that it sends by itself.
    """
    places = [*map(str, filter(None, [multiprocess.Files.folder])), *writable]
    for refused in confinement.confine(places, network=network, processes=True):
        log.info("the inner wall is lower here, %s", refused)


def post_worker_init(worker: Any) -> None:
    """Once the worker takes signals: SIGTERM would be lost while all that is loaded."""
    tracing.start()
    worker.life.state = crashes.SERVING


def worker_exit(_arbiter: Any, worker: Any) -> None:
    """Runs in the worker."""
    if crashes.is_orderly():
        worker.life.state = crashes.ENDED
    tracing.stop()


def child_exit(_arbiter: Any, worker: Any) -> None:
    """Runs in the master, however the worker ended; in older gunicorns as its handler of SIGCHLD,
    which may interrupt itself: so it takes no lock, and leaves counting to `pre_fork`.
    """
    _crashes.count(worker)
    multiprocess.forget(worker.place)
    _ended.append(worker.place)
