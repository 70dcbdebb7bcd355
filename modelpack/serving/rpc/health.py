"""`Watch` of the health protocol: each watcher receives every change of the status.

See https://github.com/grpc/grpc/blob/master/doc/health-checking.md. Watchers have no threads of
their own: one thread queries the service while there are any, and sends what has changed.
"""

from __future__ import annotations

import threading
from typing import Any, Callable

from ..problems import Problem
from .bridge import Bridge
from .messages import CLASSES

NAME = "grpc.health.v1.Health"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
"""Values of `HealthCheckResponse.ServingStatus`."""
READY_PATH = "/v2/health/ready"
MAX_WATCHERS = 256
"""In a worker. They are idle connections, which no request closes."""
POLL_SECONDS = 1.0


class Watcher:
    """A client, and the status that it knows."""

    def __init__(self, send: Callable[[Any], None], known: bool) -> None:
        """Create a watcher.

        Args:
            send: Sends a message, or ends the call for None.
            known: Whether the service that it watches exists.
        """
        self.send = send
        self.known = known
        self.status = 0

    def update(self, status: int) -> None:
        """Send a status, if the client does not know it."""
        status = status if self.known else SERVICE_UNKNOWN
        if status != self.status:
            self.status = status
            self.send(CLASSES["HealthResponse"](status=status).SerializeToString())


class Watchers:
    """All watchers of a worker."""

    def __init__(self, bridge: Bridge, seconds: float) -> None:
        """Create an empty set. `seconds`: after which the event loop counts as hanging."""
        self._bridge = bridge
        self._seconds = seconds
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, watcher: Watcher, context: Any) -> None:
        """Send the status to a watcher, and from then on each change, until its call ends.

        Raises:
            Problem: 503, there are too many watchers, or the service is stopping.
        """
        status = self._query()
        with self._lock:
            if self._closed.is_set():
                raise Problem(503, "The service is stopping.")
            if len(self._watchers) >= MAX_WATCHERS:
                raise Problem(503, f"More than {MAX_WATCHERS} clients watch this worker.")
            if not context.add_callback(lambda: self._remove(watcher)):
                return  # it has ended
            self._watchers.add(watcher)
            watcher.update(status)
            if self._thread is None:
                self._thread = threading.Thread(target=self._poll, name="grpc-health", daemon=True)
                self._thread.start()

    def _remove(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)

    def _poll(self) -> None:
        """Query the service until there are no watchers."""
        while not self._closed.wait(POLL_SECONDS):
            with self._lock:
                if not self._watchers:
                    self._thread = None
                    return
            status = self._query()
            with self._lock:
                if not self._closed.is_set():
                    for watcher in self._watchers:
                        watcher.update(status)

    def _query(self) -> int:
        try:
            reply = self._bridge.request("GET", READY_PATH, seconds=self._seconds)
        except Problem:
            return NOT_SERVING
        return SERVING if reply.status == 200 else NOT_SERVING

    def close(self) -> None:
        """Send NOT_SERVING to all watchers, and end their calls."""
        with self._lock:
            self._closed.set()
            watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            watcher.update(NOT_SERVING)
            watcher.send(None)
