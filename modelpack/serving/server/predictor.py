"""The prediction thread, and the WSGI call.

There is one thread: the interpreter runs one at a time, and several would slow each other down.
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

MAX_BATCH_BYTES = 1 << 16
"""Bytes of the bodies in one batch, which bounds the time that it takes."""


class Job:
    """A complete request.

    Attributes:
        request: gunicorn's request; of a fast request, the bytes of its head.
        body: The body, decoded from chunks.
        fast: The `FastRequest` if the request can be answered without Flask, or None.
        queued: The time at which the request was complete.
        started: The time at which the prediction began, or None.
        given_up: The client no longer waits for the response.
        response: The bytes of the response, empty until the job is answered.
        closes: The connection is closed after the response.
    """

    def __init__(self, connection: Any, request: Any, body: bytes, fast: Any = None) -> None:
        self.connection = connection
        self.request = request
        self.body = body
        self.fast = fast
        self.queued = time.monotonic()
        self.started: float | None = None
        self.given_up = False
        self.response = b""
        self.closes = False

    @property
    def waited(self) -> float:
        """Seconds that the job was queued."""
        return 0.0 if self.started is None else self.started - self.queued


class PredictionThread(threading.Thread):
    """Handles queued jobs until it is retired."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(name="predict", daemon=True)
        self.jobs: list[Job] = []
        self.retired = False
        self._predictor = predictor

    def run(self) -> None:
        """Handle jobs."""
        while not self.retired:
            jobs = self._predictor.next()
            if jobs:
                self._handle_jobs(jobs)

    def _handle_jobs(self, jobs: list[Job]) -> None:
        started = time.monotonic()
        for job in jobs:
            job.started = started
        self.jobs = jobs
        self._predictor.handle(jobs)
        self.jobs = []
        self._predictor.done.extend(jobs)
        self._predictor.wake()


class Predictor:
    """The queue of the prediction thread.

    Attributes:
        handle: Fills in the responses of jobs.
        wake: Called after jobs were added to `done`.
        merges: One call of the model can answer several fast requests.
        waiting: Jobs in the order of their arrival.
        deferred: Jobs that are handled when no other job is waiting.
        done: Jobs with a response.
    """

    def __init__(
        self, handle: Callable[[list[Job]], None], wake: Callable[[], None], *, merges: bool
    ) -> None:
        self.merges = merges
        self.handle = handle
        self.wake = wake
        self.waiting: deque[Job] = deque()
        self.deferred: deque[Job] = deque()
        self.done: deque[Job] = deque()
        self._tokens: SimpleQueue[None] = SimpleQueue()  # one for each job
        self._thread = PredictionThread(self)
        self._thread.start()

    def put(self, job: Job) -> None:
        self.waiting.append(job)
        self._tokens.put(None)

    def next(self) -> list[Job]:
        """Wait for a job, and return it with the fast jobs that can be predicted in the same call.

        The list is empty if the job was part of an earlier batch, or was given up.
        """
        self._tokens.get()
        jobs = self._take()
        if not (self.merges and jobs and jobs[0].fast):
            return jobs
        size = len(jobs[0].body)
        for job in list(self.waiting):
            size += len(job.body)
            if not job.fast or size > MAX_BATCH_BYTES:
                break
            jobs += self._take()
        return jobs

    def _take(self) -> list[Job]:
        for jobs in (self.waiting, self.deferred):
            with contextlib.suppress(IndexError):  # the last job was given up just now
                return [jobs.popleft()]
        return []

    @property
    def queued(self) -> int:
        """The number of queued jobs."""
        return len(self.waiting) + len(self.deferred)

    def defer(self, job: Job) -> None:
        """Handle a queued job after all others."""
        with contextlib.suppress(ValueError):
            self.waiting.remove(job)
            self.deferred.append(job)
            self._tokens.put(None)  # the thread may have taken the first token of this job

    def give_up(self, job: Job) -> None:
        """Remove a job from the queue. The response of a running job is not sent."""
        job.given_up = True
        for jobs in (self.waiting, self.deferred):
            with contextlib.suppress(ValueError):
                jobs.remove(job)

    def take_done(self) -> list[Job]:
        """Return and forget the jobs in `done`."""
        return [self.done.popleft() for _ in range(len(self.done))]

    def stuck(self, seconds: float) -> list[Job]:
        """Return the jobs of a prediction that runs for longer than `seconds`."""
        jobs = self._thread.jobs
        started = jobs[0].started if jobs else None
        return [] if started is None or time.monotonic() - started < seconds else jobs

    def replace(self) -> None:
        """Handle the queued jobs in a new thread: the running prediction cannot be ended."""
        self._thread.retired = True
        self._thread = PredictionThread(self)
        self._thread.start()


log = logging.getLogger("modelpack.serving")


class ResponseBuffer:
    """A buffer in place of the socket of gunicorn's response."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Append a part of the response."""
        self.parts.append(data)

    def send(self, data: bytes) -> int:
        """Drop "100 Continue", which the client has received from `Connection`."""
        return len(data)


def call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    """Return the complete response of a WSGI application, and whether to close the connection."""
    try:
        return _call(app, job, cfg)
    except ParseException:
        return error_response(
            RequestError(400, "The head of the request is malformed."), job.waited
        ), True
    except BaseException:  # code of the author may even try to exit
        log.exception("unexpected error")
        return error_response(
            RequestError(500, "The service failed. The log shows the cause."), job.waited
        ), True


def environ(raw: bytes, addresses: tuple[Any, Any], cfg: Any, limits: Limits) -> dict[str, Any]:
    """Return the WSGI environ of a head.

    Raises:
        RequestError: See `http1.parse`.
    """
    request = http1.parse(raw, cfg, addresses[0], 1, limits).request
    result: dict[str, Any] = wsgi.create(request, ResponseBuffer(), *addresses, cfg)[1]
    return result


def _call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    buffer = ResponseBuffer()
    job.request.body = io.BytesIO(job.body)
    response, environ = wsgi.create(job.request, buffer, *job.connection.addresses, cfg)
    environ.update({"wsgi.multithread": True, requests.WAITED: job.waited})
    parts = app(environ, response.start_response)
    try:
        for part in parts:
            response.write(part)
        response.close()
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return b"".join(buffer.parts), response.should_close()
