"""The event loop of a worker: all sockets and all deadlines, in one thread that never waits for
the model.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from functools import partial
from typing import Any, Callable, Iterable

from ..limits import Limits
from . import calling
from .connection import HEAD, LINGER, Connection
from .head import Head
from .predicting import Job, Predictor
from .refusal import RETRY_SECONDS, Refusal

TICK_SECONDS = 0.25
GRACE_SECONDS = 0.1
"""Before a connection that says nothing is closed by a drain: its request may be on its way."""
SMALL_BYTES = 1 << 16
"""What a connection may always keep in memory, so that others' bodies cannot refuse a small one."""
UNSENT_BYTES = 1 << 18
"""Of an answer in the kernel's memory, beyond what is on its way."""
ASIDE = {"/healthz", "/readyz", "/ping", "/health", "/metrics"}
ASIDE_BELOW = "/v2/health/"
BUSY = f"Too many requests are waiting. Try again in {RETRY_SECONDS} s."


class Loop:
    """`app`: the WSGI application. `recycle`: called when a prediction cannot be ended."""

    def __init__(self, app: Any, cfg: Any, limits: Limits, recycle: Callable[[], None]) -> None:
        self.cfg = cfg
        self.limits = limits
        self.draining = False
        self._app = app
        self._recycle = recycle
        self._selector = selectors.DefaultSelector()
        self._listeners: list[Any] = []
        self._connections: dict[Connection, int] = {}  # the events that are watched
        self._ready: list[Connection] = []
        self._held = 0
        self._ticked = 0.0
        self._over = self._quiet_until = 0.0  # while draining
        self._waker, self._woken = socket.socketpair()
        self._predictor = Predictor(self._answer, self._wake)

    def start(self, listeners: Iterable[Any], signals: int) -> None:
        """`signals`: a file descriptor from which a byte can be read when a signal has come."""
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        for listener in listeners:
            listener.setblocking(False)
            with contextlib.suppress(OSError):  # a Unix socket
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            self._listeners.append(listener)
            self._selector.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
        for wake in (self._woken.fileno(), signals):
            self._selector.register(wake, selectors.EVENT_READ, partial(_empty, wake))
        self._predictor.start()

    def turn(self) -> None:
        """Do what there is to do, after waiting for it for a moment."""
        wait = 0.0 if self._ready else GRACE_SECONDS / 4 if self.draining else TICK_SECONDS
        for key, events in self._selector.select(wait):
            key.data(events)
        for job in self._predictor.take_done():
            if not job.given_up:
                job.connection.send(job.answer, closes=job.closes)
        ready, self._ready = self._ready, []
        for connection in ready:
            connection.go_on()
        if time.monotonic() - self._ticked > TICK_SECONDS:
            self._tick()

    def _tick(self) -> None:
        self._ticked = now = time.monotonic()
        for connection in list(self._connections):
            if connection.deadline < now:
                connection.expire()

    def _accept(self, listener: Any, _events: int = 0) -> bool:
        """Whether there was a connection to accept."""
        try:
            sock, address = listener.accept()
        except OSError:
            return False
        sock.setblocking(False)
        connection = Connection(sock, (address, listener.getsockname()), self)
        self._connections[connection] = 0
        self.watch(connection, read=True)
        if len(self._connections) > self.limits.connections:
            self._make_room(connection)
        return True

    def _make_room(self, newest: Connection) -> None:
        """One that has no complete request gives way, the one that is silent for longest first;
        where all have one, the newest is refused.
        """
        others = (c for c in self._connections if c.state in {HEAD, LINGER} and c is not newest)
        oldest = min(others, key=lambda c: (not c.quiet, c.since), default=None)
        if oldest is None:
            newest.refuse(Refusal(503, "There are too many connections."))
        else:
            oldest.close()

    def _event(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            connection.writable()
        else:
            connection.readable()

    def watch(self, connection: Connection, *, read: bool, write: bool = False) -> None:
        """Call `connection` when it can be read or written."""
        wanted = read * selectors.EVENT_READ | write * selectors.EVENT_WRITE
        watched = self._connections.get(connection)
        if watched is None or watched == wanted:
            return
        self._connections[connection] = wanted
        if not wanted:
            self._selector.unregister(connection.sock)
        elif watched:
            self._selector.modify(connection.sock, wanted, partial(self._event, connection))
        else:
            self._selector.register(connection.sock, wanted, partial(self._event, connection))

    def hold(self, connection: Connection, size: int) -> None:
        """Count the bytes that are kept in memory for a client.

        Raises:
            Refusal: 503 all others together have reached the limit, and this one is not small.
        """
        if connection not in self._connections:
            return
        self._held += size - connection.held
        grown, connection.held = size > connection.held, size
        if grown and size > SMALL_BYTES and self._held - size > self.limits.held_bytes:
            raise Refusal(503, BUSY)

    def later(self, connection: Connection) -> None:
        """Let `connection` go on in the next turn: it has read more than one request."""
        self._ready.append(connection)

    def forget(self, connection: Connection) -> None:
        self.watch(connection, read=False)
        self._held -= connection.held
        connection.held = 0
        self._connections.pop(connection, None)

    def submit(self, job: Job, head: Head) -> None:
        """Have a complete request answered, now or when its turn comes."""
        if head.path in ASIDE or head.path.startswith(ASIDE_BELOW):
            self._answer(job)
            job.connection.send(job.answer, closes=job.closes)
        elif self._predictor.count > self.limits.queue:
            job.connection.refuse(Refusal(503, BUSY), close=False)
        else:
            job.connection.deadline = job.queued + self.limits.predict_seconds
            self._predictor.put(job)

    def _answer(self, job: Job) -> None:
        if self.draining:
            job.request.force_close()
        job.answer, job.closes = calling.call(self._app, job, self.cfg)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake
            self._waker.send(b".")

    def overdue(self, job: Job) -> None:
        """The deadline of a job has passed, or that of waiting for its turn."""
        seconds = self.limits.predict_seconds
        if job.started is None:
            job.given_up = True
            job.connection.refuse(Refusal(503, BUSY), close=False)
        elif time.monotonic() - job.started < seconds:
            job.connection.deadline = job.started + seconds
        else:
            job.given_up = True
            refusal = Refusal(504, f"The model took longer than {seconds} s.")
            job.connection.refuse(refusal, close=False)
            self._predictor.replace()
            self._recycle()

    def drain(self, seconds: float, *, last: bool) -> None:
        """Accept nothing more, and be done in so many seconds. `last`: nobody else will answer
        those who have connected already.
        """
        self.draining = True
        self._over = time.monotonic() + seconds
        for listener in self._listeners:
            while last and self._accept(listener):
                pass
            self._selector.unregister(listener)
            listener.close()
        self._quiet_until = time.monotonic() + GRACE_SECONDS

    def drained(self) -> bool:
        """Whether all have been answered, or the time is over."""
        now = time.monotonic()
        if now > self._quiet_until:
            for connection in [c for c in self._connections if c.quiet]:
                connection.close()
        if now > self._over:
            self._give_up()
        return not self._connections

    def _give_up(self) -> None:
        """Tell those who still wait that they have to ask again."""
        for connection in list(self._connections):
            if connection.state not in {HEAD, LINGER}:
                connection.refuse(Refusal(503, "The service is stopping."))
            connection.close()


def _empty(descriptor: int, _events: int = 0) -> None:
    with contextlib.suppress(OSError):
        os.read(descriptor, 4096)
