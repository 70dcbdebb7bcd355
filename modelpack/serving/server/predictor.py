"""The prediction thread, and the WSGI call.

One, because the interpreter runs one at a time, and threads that fight over it answer fewer
requests. Plain requests that wait together are taken together.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable

from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException

from ..observability import requests
from ..settings import Limits
from . import http1
from .http1 import RequestError, error_response

MERGED_BYTES = 1 << 16
"""Of the bodies of jobs that are answered together, which bounds how long they take."""


class Job:
    """A complete request. `request`: as gunicorn has it; of a plain one, whose head is `plain`, the
    bytes of its head. `given_up`: nobody waits for its answer any more. `answer`: the response.
    """

    def __init__(self, connection: Any, request: Any, body: bytes, plain: Any = None) -> None:
        self.connection = connection
        self.request = request
        self.body = body
        self.plain = plain
        self.queued = time.monotonic()
        self.started: float | None = None
        self.given_up = False
        self.answer = b""
        self.closes = False

    @property
    def waited(self) -> float:
        """Seconds until it was started."""
        return 0.0 if self.started is None else self.started - self.queued


class PredictionThread(threading.Thread):
    """Takes jobs in turn and has them answered, until it is retired."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(name="predict", daemon=True)
        self.jobs: list[Job] = []
        self.retired = False
        self._predictor = predictor

    def run(self) -> None:
        while not self.retired:
            jobs = self._predictor.next()
            if jobs:
                self._do(jobs)

    def _do(self, jobs: list[Job]) -> None:
        started = time.monotonic()
        for job in jobs:
            job.started = started
        self.jobs = jobs
        self._predictor.answer(jobs)
        self.jobs = []
        self._predictor.done.extend(jobs)
        self._predictor.wake()


class Predictor:
    """`answer`: fills in what is answered to some jobs. `wake`: called when some are in `done`.
    `merges`: plain jobs are answered together sooner than one by one. `deferred`: jobs whose turn
    comes when no other waits.
    """

    def __init__(
        self, answer: Callable[[list[Job]], None], wake: Callable[[], None], *, merges: bool
    ) -> None:
        self.merges = merges
        self.answer = answer
        self.wake = wake
        self.waiting: deque[Job] = deque()
        self.deferred: deque[Job] = deque()
        self.done: deque[Job] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # rung once for each job
        self._runner = PredictionThread(self)
        self._runner.start()

    def put(self, job: Job) -> None:
        self.waiting.append(job)
        self._bell.put(None)

    def next(self) -> list[Job]:
        """The job whose turn it is, once there is one, and if it merges those that wait behind it
        and do, too; none if it has been taken along, or has just been given up.
        """
        self._bell.get()
        jobs = self._take()
        if not (self.merges and jobs and jobs[0].plain):
            return jobs
        size = len(jobs[0].body)
        for job in list(self.waiting):
            size += len(job.body)
            if not job.plain or size > MERGED_BYTES:
                break
            jobs += self._take()
        return jobs

    def _take(self) -> list[Job]:
        for jobs in (self.waiting, self.deferred):
            with contextlib.suppress(IndexError):  # the last one has been given up in this moment
                return [jobs.popleft()]
        return []

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return len(self.waiting) + len(self.deferred)

    def defer(self, job: Job) -> None:
        """Let all others go first, unless the job is running already."""
        with contextlib.suppress(ValueError):
            self.waiting.remove(job)
            self.deferred.append(job)
            self._bell.put(None)  # the one for this job may have been heard in between

    def give_up(self, job: Job) -> None:
        """Take a job back, unless it is running already: then its answer is not sent."""
        job.given_up = True
        for jobs in (self.waiting, self.deferred):
            with contextlib.suppress(ValueError):
                jobs.remove(job)

    def take_done(self) -> list[Job]:
        """Those jobs that have been done since the last time."""
        return [self.done.popleft() for _ in range(len(self.done))]

    def stuck(self, seconds: float) -> list[Job]:
        """The jobs that have been running for longer than that."""
        jobs = self._runner.jobs
        started = jobs[0].started if jobs else None
        return [] if started is None or time.monotonic() - started < seconds else jobs

    def replace(self) -> None:
        """Leave the running job, which cannot be ended, and do the others in a new thread."""
        self._runner.retired = True
        self._runner = PredictionThread(self)
        self._runner.start()


log = logging.getLogger("modelpack.serving")


class ResponseBuffer:
    """What gunicorn's response writes on, in place of a socket."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)

    def send(self, data: bytes) -> int:
        """Only "100 Continue" is written by this; the client got it when it was due."""
        return len(data)


def call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    """The whole response, and whether the connection is closed after it."""
    try:
        return _call(app, job, cfg)
    except ParseException:
        return error_response(
            RequestError(400, "The head of the request is malformed."), job.waited
        ), True
    except BaseException:  # of code of the bundle's author, which may even try to exit
        log.exception("unforeseen")
        return error_response(
            RequestError(500, "The service failed. Its log tells why."), job.waited
        ), True


def environ(raw: bytes, addresses: tuple[Any, Any], cfg: Any, limits: Limits) -> dict[str, Any]:
    """The WSGI environ of a request with this head.

    Raises:
        Refusal: as `head.parse`.
    """
    request = http1.parse(raw, cfg, addresses[0], 1, limits).request
    made: dict[str, Any] = wsgi.create(request, ResponseBuffer(), *addresses, cfg)[1]
    return made


def _call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    paper = ResponseBuffer()
    job.request.body = io.BytesIO(job.body)
    response, environ = wsgi.create(job.request, paper, *job.connection.addresses, cfg)
    environ.update({"wsgi.multithread": True, requests.WAITED: job.waited})
    parts = app(environ, response.start_response)
    try:
        for part in parts:
            response.write(part)
        response.close()
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return b"".join(paper.parts), response.should_close()
