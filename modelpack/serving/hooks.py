"""What gunicorn calls in the life of a worker: gunicorn.conf.py imports them by these names."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.http import wsgi

from . import shared

shared.prepare()  # before the first metric is made

from . import confinement, crashes, metrics, tracing  # noqa: E402

log = logging.getLogger("modelpack.serving")


class NamelessResponse(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, without the header that tells what serves."""

    def default_headers(self) -> list[str]:
        lines = super().default_headers()
        return [line for line in lines if not line.startswith("Server:")]


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
    shared.Files.place = worker.place
    metrics.WORKERS.set(1)
    if confinement.wanted(os.environ):
        _confine()


def _confine() -> None:
    """Before the worker has threads, which would stay outside, and before it has read a byte of a
    stranger. Its listening sockets are open; spans are the one thing that it sends by itself.
    """
    memory = filter(None, [shared.Files.folder])
    network = tracing.asked(os.environ)
    for refused in confinement.enter(map(str, memory), network=network, processes=True):
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
    shared.forget(worker.place)
    _ended.append(worker.place)
