"""All connections: readiness, memory, eviction."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import time
from functools import partial
from typing import Any, Callable

from ..settings import Limits
from .connection import HEAD, LINGER, Connection
from .http1 import BUSY, RequestError

log = logging.getLogger("modelpack.serving")

SMALL_BYTES = 1 << 16
"""What a connection may always keep in memory, so that others' bodies cannot refuse a small one."""
FRESH_SECONDS = 0.5
"""After a connection was accepted or answered, its next request may be on its way."""
UNSENT_BYTES = 1 << 18
"""Of an answer in the kernel's memory, beyond what is on its way."""


class ConnectionPool:
    """The part of the event loop that knows of sockets and not of requests."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._selector = selectors.DefaultSelector()
        self._listeners: list[Any] = []
        self._connections: dict[Connection, int] = {}  # the events that are watched
        self._held = 0
        self.crowded = False  # clients wait until a connection is free

    def listen(self, listener: Any) -> None:
        listener.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._listeners.append(listener)
        self._watch_listener(listener)

    def _watch_listener(self, listener: Any) -> None:
        accept = partial(self._accept_if_room, listener)
        self._selector.register(listener, selectors.EVENT_READ, accept)

    def stop_listening(self, *, last: bool) -> None:
        """`last`: no other process will accept those who have connected already."""
        self.listen_again()
        for listener in self._listeners:
            self._selector.unregister(listener)
            while last and self._accept(listener):
                pass
            listener.close()  # at once: who connects in between would be lost
        self._listeners = []

    def listen_again(self) -> None:
        """Look for new connections again, if there was no room for one."""
        if self.crowded:
            self.crowded = False
            for listener in self._listeners:
                self._watch_listener(listener)

    def _wait_for_room(self) -> None:
        """Leave new connections in the kernel's queue for a turn."""
        self.crowded = True
        for listener in self._listeners:
            self._selector.unregister(listener)

    def _accept_if_room(self, listener: Any, _events: int = 0) -> None:
        if self.crowded:  # since another listener of this turn
            return
        if len(self._connections) < self.limits.connections or self._make_room():
            self._accept(listener)
        else:
            self._wait_for_room()

    def _accept(self, listener: Any) -> bool:
        """Whether there was a connection to accept. Only one in a turn of the loop: the workers
        that have less to do come round sooner, and take more.
        """
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._listeners:
                self._make_room()
                self._wait_for_room()
            return False
        sock.setblocking(False)
        connection = Connection(sock, (address, listener.getsockname()), self)
        self._connections[connection] = 0
        self.watch(connection, read=True)
        if len(self._connections) > self.limits.connections:
            connection.refuse(RequestError(503, "There are too many connections."))
        return True

    def _make_room(self) -> bool:
        """Return whether one more connection can be accepted.

        One without a complete request gives way, the one that is silent for longest first. While
        all of these are fresh, the answer is no: their requests are on their way. Where all have a
        request, the answer is yes, since the newest gets a 503 at once.
        """
        others = [c for c in self._connections if c.state in {HEAD, LINGER}]
        latest = time.monotonic() - FRESH_SECONDS
        oldest = min(others, key=lambda c: (c.since > latest, bool(c.data), c.since), default=None)
        if oldest is None:
            return True
        if oldest.since > latest:
            return False
        oldest.close()
        return True

    def watch(self, connection: Connection, *, read: bool, write: bool = False) -> None:
        """Call `connection` when it can be read or written."""
        wanted = read * selectors.EVENT_READ | write * selectors.EVENT_WRITE
        watched = self._connections.get(connection)
        if watched is None or watched == wanted:
            return
        self._connections[connection] = wanted
        act = connection.writable if write else connection.readable
        if not wanted:
            self._selector.unregister(connection.sock)
        elif watched:
            self._selector.modify(connection.sock, wanted, partial(self._do, connection, act))
        else:
            self._selector.register(connection.sock, wanted, partial(self._do, connection, act))

    def _do(self, connection: Connection, act: Callable[[], None], _events: int = 0) -> None:
        """What goes wrong with one connection ends that one alone."""
        try:
            act()
        except Exception:
            log.exception("unforeseen")
            connection.close(abort=True)

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
            raise RequestError(503, BUSY)

    def forget(self, connection: Connection) -> None:
        self.watch(connection, read=False)
        self._held -= connection.held
        connection.held = 0
        self._connections.pop(connection, None)
