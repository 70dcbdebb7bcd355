"""The event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from collections import deque
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
"""Before a drain closes a silent connection, whose request may be on its way."""
LAST_SECONDS = 0.5
"""For clients to read their responses before a drain ends."""
LOOPBACK = (("127.0.0.1", 0), ("127.0.0.1", 0))
"""The addresses of clients in this process."""
IMMEDIATE_PREFIXES = ("/v1/", "/v2/")
"""Paths whose GET requests return metadata."""


class Loop(ConnectionPool):
    """The event loop of one worker.

    Args:
        cfg: gunicorn's configuration.
        on_tick: Called four times a second.
        recycle: Called when a prediction does not end.
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
        self._fast_path = fast_path.FastPath.for_app(app)
        self._fast_jobs: list[Job] = []  # of this turn
        self._ready: list[Connection] = []
        self._adopted: deque[socket.socket] = deque()
        self._ticked = 0.0
        self._quiet_until = self._over = 0.0  # while draining
        self._waker, woken = socket.socketpair()
        self._waker.setblocking(False)
        self.wake_by(woken.detach())
        merges = self._fast_path is not None and self._fast_path.merges
        self._predictor = Predictor(self._handle, self._wake, merges=merges)

    @property
    def closing(self) -> bool:
        """Whether connections are closed after the response, for other clients or a drain."""
        return self.draining or self.crowded

    def adopt(self, sock: socket.socket) -> None:
        """Serve a client in this process, in the next turn. Any thread may call this."""
        self._adopted.append(sock)
        self._wake()

    def wake_by(self, descriptor: int) -> None:
        """Begin a turn when `descriptor` can be read."""
        os.set_blocking(descriptor, False)
        self._selector.register(descriptor, selectors.EVENT_READ, partial(_empty, descriptor))

    def turn(self) -> None:
        """Wait for events for a moment, and handle them."""
        was_crowded = self.crowded
        wait = 0.0 if self._ready else GRACE_SECONDS / 4 if self.closing else TICK_SECONDS
        for key, events in self._selector.select(min(wait, self.pause_seconds())):
            key.data(events)
        while self._adopted:
            self._serve(self._adopted.popleft(), LOOPBACK)
        for job in self._predictor.take_done():
            if not job.given_up:
                self._send(job)
        ready, self._ready = self._ready, []
        for connection in ready:
            self._run(connection, connection.proceed)
        if self._fast_jobs:
            self._handle_fast_jobs()
        if was_crowded:
            self.listen_again()
        self.end_pause()
        if time.monotonic() - self._ticked > TICK_SECONDS:
            self._tick()

    def _tick(self) -> None:
        self._ticked = now = time.monotonic()
        self._on_tick()
        if not self.draining:
            self._share.tick(len(self._connections))
        requests.set_queue_length(self._predictor.queued)
        stuck = self._predictor.stuck(self.limits.predict_seconds)
        if stuck:
            self._abandon(stuck)
        for connection in list(self._connections):
            if connection.deadline < now:
                self._run(connection, connection.expire)
            elif connection.state == TURN and connection.is_reset():
                connection.close()

    def _abandon(self, stuck: list[Job]) -> None:
        """Reject jobs whose prediction does not end. Only the end of the process can end it."""
        detail = f"The model took longer than {self.limits.predict_seconds} s."
        for job in stuck:
            if not job.given_up:
                job.connection.reject(RequestError(504, detail))
        self._predictor.replace()
        self._recycle()

    def proceed_later(self, connection: Connection) -> None:
        """Parse the bytes that `connection` has already read, in the next turn."""
        self._ready.append(connection)

    def match_fast(self, raw: bytes, addresses: tuple[Any, Any]) -> fast_path.FastRequest | None:
        """Return the parsed head of a request that can be answered without Flask, or None."""
        if self._fast_path is None:
            return None
        environ = partial(predictor.environ, addresses=addresses, cfg=self.cfg, limits=self.limits)
        return self._fast_path.match(raw, environ)

    def submit(self, job: Job, top: http1.Head | None) -> None:
        """Handle a complete request, now or when its turn comes.

        `top`: its head, or None if the request can be answered without Flask.
        """
        self.requests += 1
        # The connection moves to another worker, unless its next request is here already.
        job.closes = not job.connection.data and self._share.take_surplus(len(self._connections))
        if top is None:
            self._fast_jobs.append(job)
        elif _is_immediate(top):
            self._handle([job])
            self._send(job)
        else:
            self._put(job)

    def _put(self, job: Job) -> None:
        if self._predictor.queued >= self.limits.queue:
            for deferred in list(self._predictor.deferred)[:1]:
                self.reject_waiting(deferred)
        if self._predictor.queued >= self.limits.queue:
            job.connection.reject(RequestError(503, BUSY), close=False)
        else:
            self._predictor.put(job)

    def _handle_fast_jobs(self) -> None:
        """Predict for the fast requests of this turn in this thread, or queue them."""
        jobs, self._fast_jobs = [job for job in self._fast_jobs if not job.given_up], []
        record = None
        if self._fast_path is not None and self._fast_path.is_fast:
            record = self._fast_path.handle(jobs, draining=self.closing, only_fast=True)
        for job in jobs:
            if job.response:
                self._send(job)
            else:
                self._run(job.connection, partial(self._put, job))
        if record is not None:
            record()

    def defer(self, job: Job) -> None:
        """Handle a job after all others, as its client may have left."""
        self._predictor.defer(job)

    def give_up(self, job: Job) -> None:
        """Drop a job whose client no longer waits for the response."""
        self._predictor.give_up(job)

    def reject_waiting(self, job: Job) -> None:
        """Reject a job that has waited too long, unless its prediction runs."""
        if job.started is None:
            job.connection.reject(RequestError(503, BUSY), close=False)

    def _handle(self, jobs: list[Job]) -> None:
        """Fill in the responses of jobs. Runs in the prediction thread if the model is called."""
        fast_jobs = [job for job in jobs if job.fast]
        if self._fast_path is not None and fast_jobs:
            try:
                self._fast_path.handle(fast_jobs, draining=self.closing)()
            except BaseException:  # nothing may end this thread; Flask handles the jobs instead
                log.exception("unexpected error")
        for job in jobs:
            if not job.response:
                self._call_flask(job)

    def _call_flask(self, job: Job) -> None:
        if job.fast:
            peer = job.connection.addresses[0]
            job.request = http1.parse(job.request, self.cfg, peer, 1, self.limits).request
        if self.closing or job.closes:
            job.request.force_close()
        job.response, job.closes = predictor.call(self._app, job, self.cfg)

    def _send(self, job: Job) -> None:
        self._run(job.connection, partial(job.connection.send, job.response, closes=job.closes))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # a full socket wakes the loop as well
            self._waker.send(b".")

    def drain(self, seconds: float, *, last: bool) -> None:
        """Accept no more connections, and end the others within `seconds`.

        `last`: no other process will answer the clients that have connected already.
        """
        self.draining = True
        self.stop_listening(last=last)
        now = time.monotonic()
        self._over, self._quiet_until = now + seconds, now + GRACE_SECONDS

    def drained(self) -> bool:
        """Close connections as far as the drain allows, and return whether all are closed."""
        now = time.monotonic()
        for connection in list(self._connections):
            if now > self._over and connection.state in {BODY, TURN}:
                connection.reject(RequestError(503, "The service is stopping."))
            if now > self._over + LAST_SECONDS or self._is_done(connection, now):
                connection.close()
        return not self._connections

    def _is_done(self, connection: Connection, now: float) -> bool:
        if connection.state == LINGER:
            return now > connection.since + LAST_SECONDS
        return connection.quiet and now > self._quiet_until


def _is_immediate(top: http1.Head) -> bool:
    """Return whether a request needs no prediction, and is answered before the queued ones."""
    is_read = top.method in {"GET", "HEAD"}
    if not is_read:
        return False
    return top.path.startswith(IMMEDIATE_PREFIXES) or requests.is_probe(top.path, os.environ)


def _empty(descriptor: int, _events: int = 0) -> None:
    with contextlib.suppress(OSError):
        os.read(descriptor, 4096)
