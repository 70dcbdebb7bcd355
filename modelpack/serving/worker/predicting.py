"""The one thread in which the application predicts, and the queue before it.

One, because the interpreter runs one at a time, and threads that fight over it answer fewer
requests. `Predictor.next` is where requests that wait together could be taken together.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable


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

    @property
    def waited(self) -> float:
        """Seconds until it was started."""
        return 0.0 if self.started is None else self.started - self.queued


class Runner(threading.Thread):
    """Takes jobs in turn and has them answered, until it is retired."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(name="predict", daemon=True)
        self.job: Job | None = None
        self.retired = False
        self._predictor = predictor

    def run(self) -> None:
        while not self.retired:
            job = self._predictor.next()
            if job is not None:
                self._do(job)

    def _do(self, job: Job) -> None:
        job.started = time.monotonic()
        self.job = job
        self._predictor.answer(job)
        self.job = None
        self._predictor.done.append(job)
        self._predictor.wake()


class Predictor:
    """`answer`: fills in what is answered to a job. `wake`: called when one is in `done`."""

    def __init__(self, answer: Callable[[Job], None], wake: Callable[[], None]) -> None:
        self.answer = answer
        self.wake = wake
        self.waiting: deque[Job] = deque()
        self.done: deque[Job] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # rung once for each job
        self._runner = Runner(self)
        self._runner.start()

    def put(self, job: Job) -> None:
        self.waiting.append(job)
        self._bell.put(None)

    def next(self) -> Job | None:
        """The job whose turn it is, once there is one; None if it has just been given up."""
        self._bell.get()
        return self.waiting.popleft() if self.waiting else None

    def give_up(self, job: Job) -> None:
        """Take a job back, unless it is running already: then its answer is not sent."""
        job.given_up = True
        with contextlib.suppress(ValueError):
            self.waiting.remove(job)

    def take_done(self) -> list[Job]:
        """Those jobs that have been done since the last time."""
        return [self.done.popleft() for _ in range(len(self.done))]

    def stuck(self, seconds: float) -> Job | None:
        """The job that has been running for longer than that."""
        job = self._runner.job
        if job is None or job.started is None or time.monotonic() - job.started < seconds:
            return None
        return job

    def replace(self) -> None:
        """Leave the running job, which cannot be ended, and do the others in a new thread."""
        self._runner.retired = True
        self._runner = Runner(self)
        self._runner.start()
