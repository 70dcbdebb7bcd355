"""The event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from functools import partial
from typing import Any, Callable

from ..observability import requests
from ..settings import Limits
from . import fast_path, http1, predictor
from .connection import BODY, LINGER, TURN, Connection
from .connections import ConnectionPool
from .http1 import BUSY, RequestError
from .predictor import Job, Predictor

log = logging.getLogger("modelpack.serving")

TICK_SECONDS = 0.25
GRACE_SECONDS = 0.1
"""Before a connection that says nothing is closed by a drain: its request may be on its way."""
LAST_SECONDS = 0.5
"""For clients to read their answers, before a drain ends."""
ASIDE_BELOW = ("/v1/", "/v2/")  # whose GET tells of the model, and whether it is ready


class Loop(ConnectionPool):
    """The event loop of one worker.

    Args:
        app: The WSGI application.
        on_tick: Called four times a second, whether there are requests or not.
        recycle: Called when a prediction cannot be ended.
    """

    def __init__(
        self,
        app: Any,
        cfg: Any,
        limits: Limits,
        *,
        on_tick: Callable[[], None],
        recycle: Callable[[], None],
    ) -> None:
        super().__init__(limits)
        self.cfg = cfg
        self.draining = False
        self.requests = 0
        self._app = app
        self._on_tick = on_tick
        self._recycle = recycle
        self._desk = fast_path.of(app)
        self._plain: list[Job] = []  # of this turn
        self._ready: list[Connection] = []
        self._ticked = 0.0
        self._quiet_until = self._over = 0.0  # while draining
        self._waker, woken = socket.socketpair()
        self._waker.setblocking(False)
        self.wake_by(woken.detach())
        merges = self._desk is not None and self._desk.merges
        self._predictor = Predictor(self._answer, self._wake, merges=merges)

    @property
    def closing(self) -> bool:
        """Whether connections are closed after the answer: others need them, or the end is near."""
        return self.draining or self.crowded

    def wake_by(self, descriptor: int) -> None:
        """Begin a turn when there is something to read from `descriptor`."""
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, selectors.EVENT_READ, partial(_empty, descriptor))

    def turn(self) -> None:
        """Do what there is to do, after waiting for it for a moment."""
        was_crowded = self.crowded
        wait = 0.0 if self._ready else GRACE_SECONDS / 4 if self.closing else TICK_SECONDS
        for key, events in self._selector.select(wait):
            key.data(events)
        for job in self._predictor.take_done():
            if not job.given_up:
                self._send(job)
        ready, self._ready = self._ready, []
        for connection in ready:
            self._do(connection, connection.go_on)
        if self._plain:
            self._answer_plain()
        if was_crowded:
            self.listen_again()
        if time.monotonic() - self._ticked > TICK_SECONDS:
            self._tick()

    def _tick(self) -> None:
        self._ticked = now = time.monotonic()
        self._on_tick()
        requests.set_queue_length(self._predictor.queued)
        stuck = self._predictor.stuck(self.limits.predict_seconds)
        if stuck:
            self._leave(stuck)
        for connection in list(self._connections):
            if connection.deadline < now:
                self._do(connection, connection.expire)
            elif connection.state == TURN and connection.is_reset():
                connection.close()

    def _leave(self, stuck: list[Job]) -> None:
        """A prediction cannot be ended but with its process."""
        detail = f"The model took longer than {self.limits.predict_seconds} s."
        for job in stuck:
            if not job.given_up:
                job.connection.refuse(RequestError(504, detail))
        self._predictor.replace()
        self._recycle()

    def later(self, connection: Connection) -> None:
        """Let `connection` go on in the next turn: it has read more than one request."""
        self._ready.append(connection)

    def plain(self, raw: bytes, addresses: tuple[Any, Any]) -> fast_path.FastRequest | None:
        """What the head of a request asks for, if it can be answered without Flask."""
        if self._desk is None:
            return None
        environ = partial(predictor.environ, addresses=addresses, cfg=self.cfg, limits=self.limits)
        return self._desk.plain(raw, environ)

    def submit(self, job: Job, top: http1.Head | None) -> None:
        """Have a complete request answered, now or when its turn comes. `top`: its head; None if
        it is plain.

        Raises:
            Refusal: 503 too many wait.
        """
        self.requests += 1
        if top is None:
            self._plain.append(job)
        elif _is_aside(top):
            self._answer([job])
            self._send(job)
        else:
            self._put(job)

    def _put(self, job: Job) -> None:
        if self._predictor.queued >= self.limits.queue:
            for deferred in list(self._predictor.deferred)[:1]:
                self.overdue(deferred)
        if self._predictor.queued >= self.limits.queue:
            job.connection.refuse(RequestError(503, BUSY), close=False)
        else:
            self._predictor.put(job)

    def _answer_plain(self) -> None:
        """Have the plain requests of this turn answered together: at once if the model is quick."""
        jobs, self._plain = [job for job in self._plain if not job.given_up], []
        tell = None
        if self._desk is not None and self._desk.is_quick:
            tell = self._desk.answer(jobs, draining=self.closing)
        for job in jobs:
            if job.answer:
                self._send(job)
            else:
                self._do(job.connection, partial(self._put, job))
        if tell is not None:
            tell()

    def defer(self, job: Job) -> None:
        """The client of a job may have left: let all others go first."""
        self._predictor.defer(job)

    def give_up(self, job: Job) -> None:
        """Nobody waits for this answer any more."""
        self._predictor.give_up(job)

    def overdue(self, job: Job) -> None:
        """A job has waited for its turn for too long."""
        if job.started is None:
            job.connection.refuse(RequestError(503, BUSY), close=False)

    def _answer(self, jobs: list[Job]) -> None:
        """In the predictor's thread, but for requests that do not ask the model."""
        if self._desk is not None and jobs[0].plain and not self._desk.is_quick:
            try:
                self._desk.answer(jobs, draining=self.closing)()
            except BaseException:  # nothing may end this thread; Flask answers instead
                log.exception("unforeseen")
        for job in jobs:
            if not job.answer:
                self._ask_flask(job)

    def _ask_flask(self, job: Job) -> None:
        if job.plain:
            peer = job.connection.addresses[0]
            job.request = http1.parse(job.request, self.cfg, peer, 1, self.limits).request
        if self.closing:
            job.request.force_close()
        job.answer, job.closes = predictor.call(self._app, job, self.cfg)

    def _send(self, job: Job) -> None:
        self._do(job.connection, partial(job.connection.send, job.answer, closes=job.closes))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake
            self._waker.send(b".")

    def drain(self, seconds: float, *, last: bool) -> None:
        """Accept nothing more, and be done in so many seconds. `last`: nobody else will answer
        those who have connected already.
        """
        self.draining = True
        self.stop_listening(last=last)
        now = time.monotonic()
        self._over, self._quiet_until = now + seconds, now + GRACE_SECONDS

    def drained(self) -> bool:
        """Whether all have been answered, or the time is over."""
        now = time.monotonic()
        for connection in list(self._connections):
            if now > self._over and connection.state in {BODY, TURN}:
                connection.refuse(RequestError(503, "The service is stopping."))
            if now > self._over + LAST_SECONDS or self._is_done(connection, now):
                connection.close()
        return not self._connections

    def _is_done(self, connection: Connection, now: float) -> bool:
        if connection.state == LINGER:
            return now > connection.since + LAST_SECONDS
        return connection.quiet and now > self._quiet_until


def _is_aside(top: http1.Head) -> bool:
    """Whether it takes next to no time to answer, and must not wait for predictions."""
    is_read = top.method in {"GET", "HEAD"}
    return is_read and (top.path in requests.PROBES or top.path.startswith(ASIDE_BELOW))


def _empty(descriptor: int, _events: int = 0) -> None:
    with contextlib.suppress(OSError):
        os.read(descriptor, 4096)
