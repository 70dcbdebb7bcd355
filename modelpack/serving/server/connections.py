"""All connections: readiness, memory, eviction."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import selectors
import socket
import time
from functools import partial
from typing import Any, Callable

from ..balance import PAUSE_SECONDS, Share
from ..settings import Limits
from .connection import HEAD, LINGER, Connection
from .http1 import BUSY, RequestError

log = logging.getLogger("modelpack.serving")

SMALL_BYTES = 1 << 16
"""Bytes that every connection may keep in memory, however many the others keep."""
FRESH_SECONDS = 0.5
"""How long a request may be on its way after a connection was accepted or answered."""
UNSENT_BYTES = 1 << 18
"""Unsent bytes of a response in the memory of the kernel."""


MAPPED = "::ffff:"
"""The beginning of an address of IPv4 at a socket of IPv6."""


class ConnectionPool:
    """The part of the event loop that handles sockets."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._share = Share(None)
        self._selector = selectors.DefaultSelector()
        self._listeners: list[Any] = []
        self._listening = False  # whether the selector watches the listeners
        self._connections: dict[Connection, int] = {}  # the events that are watched
        self._held = 0
        self.crowded = False  # clients wait until a connection is free
        self._paused_until = 0.0  # new connections are left to other workers; 0 if they are not

    def join(self, slot: str | None) -> None:
        """Share connections evenly with other workers. `slot`: of this worker, None if unknown."""
        self._share = Share(slot)

    def listen(self, listener: Any) -> None:
        """Accept the connections of a socket."""
        listener.setblocking(False)
        with contextlib.suppress(OSError):  # a Unix socket
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self._ignore_listeners()
        self._listeners.append(listener)
        self._watch_listeners()
        self._publish()

    def _watch_listeners(self) -> None:
        for listener in [] if self._listening else self._listeners:
            accept = partial(self._accept_in_turn, listener)
            self._selector.register(listener, selectors.EVENT_READ, accept)
        self._listening = True

    def _ignore_listeners(self) -> None:
        for listener in self._listeners if self._listening else []:
            self._selector.unregister(listener)
        self._listening = False

    def stop_listening(self, *, last: bool) -> None:
        """Close the listeners. `last`: first accept the clients that have connected already."""
        self._ignore_listeners()
        self.crowded, self._paused_until = False, 0.0
        self._share.leave()
        for listener in self._listeners:
            while last and self._accept(listener):
                pass
            listener.close()  # at once: a client that connects in between would be lost
        self._listeners = []

    def listen_again(self) -> None:
        """Accept connections again, after there was no room for one."""
        if self.crowded:
            self.crowded = False
            self._watch_listeners()

    def _wait_for_room(self) -> None:
        """Leave new connections in the kernel's queue for a turn."""
        self.crowded = True
        self._ignore_listeners()

    def pause_seconds(self) -> float:
        """Return how long new connections are still left to other workers."""
        return max(0.0, self._paused_until - time.monotonic()) if self._paused_until else math.inf

    def end_pause(self) -> None:
        """Accept connections again after a pause, first those that no other worker has taken."""
        if not self._paused_until or time.monotonic() < self._paused_until:
            return
        self._paused_until = 0.0
        self._watch_listeners()
        for listener in self._listeners:
            if len(self._connections) < self.limits.connections:
                self._accept(listener)

    def _accept_in_turn(self, listener: Any, _events: int = 0) -> None:
        """Accept connections until this worker has more than others; then leave them to those.

        Without others, one in a turn of the loop is enough.
        """
        while self._listening:  # until now in this turn
            is_full = len(self._connections) >= self.limits.connections
            lead = self._share.lead(len(self._connections), is_full=is_full)
            if lead is not None and lead > 0:
                self._leave_to_others(is_full=is_full)
            elif not self._accept_if_room(listener) or lead is None:
                break
            elif len(self._connections) >= self.limits.connections:
                break  # the request of the last one is read before another one is rejected

    def _leave_to_others(self, *, is_full: bool) -> None:
        """Accept no connections for a moment. If this worker `is_full`, others may end first."""
        if is_full:
            self._wait_for_room()
        else:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._ignore_listeners()

    def _accept_if_room(self, listener: Any) -> bool:
        """Accept a connection if there is room and one waits, and return whether there was one."""
        if len(self._connections) < self.limits.connections or self._make_room():
            return self._accept(listener)
        self._wait_for_room()
        return False

    def _accept(self, listener: Any) -> bool:
        """Accept one connection, and return whether there was one."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._listeners:
                self._make_room()
                self._wait_for_room()
            return False
        self._serve(sock, (_unmapped(address), _unmapped(listener.getsockname())))
        return True

    def _serve(self, sock: socket.socket, addresses: tuple[Any, Any]) -> None:
        """Serve a client, or reject it if there are too many."""
        sock.setblocking(False)
        connection = Connection(sock, addresses, self)
        self._connections[connection] = 0
        self._publish()
        self.watch(connection, read=True)
        if len(self._connections) > self.limits.connections:
            connection.reject(RequestError(503, "There are too many connections."))

    def _make_room(self) -> bool:
        """Close an idle connection if possible, and return whether one more can be accepted.

        Of the connections without a complete request, the one that is silent for longest is
        closed, but none that is fresh. If all connections have a request, the new one is accepted
        and gets a 503 at once.
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
        events = read * selectors.EVENT_READ | write * selectors.EVENT_WRITE
        watched = self._connections.get(connection)
        if watched is None or watched == events:
            return
        self._connections[connection] = events
        action = connection.writable if write else connection.readable
        if not events:
            self._selector.unregister(connection.sock)
        elif watched:
            self._selector.modify(connection.sock, events, partial(self._run, connection, action))
        else:
            self._selector.register(connection.sock, events, partial(self._run, connection, action))

    def _run(self, connection: Connection, action: Callable[[], None], _events: int = 0) -> None:
        """Run an action of a connection. An exception closes this connection only."""
        try:
            action()
        except Exception:
            log.exception("unexpected error")
            connection.close(abort=True)

    def account_memory(self, connection: Connection, size: int) -> None:
        """Set the bytes that are kept in memory for a client.

        Raises:
            RequestError: 503, the limit is reached and this connection keeps more than a few bytes.
        """
        if connection not in self._connections:
            return
        self._held += size - connection.held
        grown, connection.held = size > connection.held, size
        if grown and size > SMALL_BYTES and self._held - size > self.limits.held_bytes:
            raise RequestError(503, BUSY)

    def forget(self, connection: Connection) -> None:
        """Remove a connection that is being closed."""
        self.watch(connection, read=False)
        self._held -= connection.held
        connection.held = 0
        self._connections.pop(connection, None)
        self._publish()

    def _publish(self) -> None:
        if self._listeners:
            self._share.publish(len(self._connections))


def _unmapped(address: Any) -> Any:
    """Return an address of a socket, that of IPv4 if it is one.

    gunicorn trusts 127.0.0.1 as a proxy, and applications compare addresses.
    """
    if isinstance(address, tuple) and address[0].startswith(MAPPED):
        return (address[0][len(MAPPED) :], address[1])
    return address
