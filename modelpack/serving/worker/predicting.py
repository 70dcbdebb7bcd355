"""The one thread in which the application predicts, and the queue before it.

One, because the interpreter runs one at a time, and threads that fight over it answer fewer
requests. `Runner._next` is where requests that wait together could be taken together.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable

from .. import observe


class Job:
    """A complete request. `given_up`: nobody waits for its answer any more."""

    def __init__(self, connection: Any, request: Any, body: bytes) -> None:
        self.connection = connection
        self.request = request
        self.body = body
        self.queued = time.monotonic()
        self.started: float | None = None
        self.given_up = False
        self.answer = b""
        self.closes = False


class Runner(threading.Thread):
    """Takes jobs in turn and hands them to `answer`, which fills in what was answered."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(name="predict", daemon=True)
        self.job: Job | None = None
        self.retired = False
        self._predictor = predictor

    def run(self) -> None:
        while not self.retired:
            self._do(self._next())

    def _next(self) -> Job:
        return self._predictor.waiting.get()

    def _do(self, job: Job) -> None:
        if not job.given_up:
            job.started = time.monotonic()
            self.job = job
            self._predictor.answer(job)
            self.job = None
        self._predictor.done.append(job)
        self._predictor.wake()


class Predictor:
    """`done`: jobs to be sent. `count`: jobs that are not done, the running one included; only
    the event loop changes it.
    """

    def __init__(self, answer: Callable[[Job], None], wake: Callable[[], None]) -> None:
        self.answer = answer
        self.wake = wake
        self.waiting: SimpleQueue[Job] = SimpleQueue()
        self.done: deque[Job] = deque()
        self.count = 0
        self._runner = Runner(self)

    def start(self) -> None:
        self._runner.start()

    def put(self, job: Job) -> None:
        self._counted(self.count + 1)
        self.waiting.put(job)

    def take_done(self) -> list[Job]:
        """Those jobs that have been done since the last time."""
        jobs = []
        while self.done:
            jobs.append(self.done.popleft())
        if jobs:
            self._counted(self.count - len(jobs))
        return jobs

    def _counted(self, count: int) -> None:
        self.count = count
        observe.waiting(max(0, count - 1))  # the first of them has its turn

    def replace(self) -> None:
        """Leave the running job, which cannot be ended, and do the others in a new thread."""
        self._runner.retired = True
        self._runner = Runner(self)
        self._runner.start()
