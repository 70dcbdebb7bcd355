"""HTTP requests of this process to its own event loop, over pairs of sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
from typing import Any, Callable, Mapping, NamedTuple, Sequence, Tuple

import orjson

from ..problems import Problem

Header = Tuple[str, str]
NO_ANSWER = "The service did not answer."


class Reply(NamedTuple):
    """A response. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def problem(self) -> Problem:
        """Return the problem of a response that is no success."""
        try:
            detail = orjson.loads(self.body)["detail"]
        except (ValueError, KeyError, TypeError):
            detail = NO_ANSWER
        return Problem(self.status, detail, headers=self.headers)


class Bridge:
    """A client of the event loop, for other threads."""

    def __init__(self, adopt: Callable[[socket.socket], None]) -> None:
        """`adopt`: lets the event loop serve a connection."""
        self._adopt = adopt

    def request(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        headers: Sequence[Header] = (),
        body: bytes = b"",
        *,
        seconds: float,
        watch: Callable[[Callable[[], Any]], Any] = lambda _: None,
    ) -> Reply:
        """Return the response to a request.

        Args:
            method: GET or POST.
            path: Of the route.
            headers: More headers, whose values are checked.
            body: The body of a POST.
            seconds: After which the event loop counts as hanging.
            watch: Receives a function that gives the request up, for another thread.

        Raises:
            Problem: 503, the event loop does not answer.
        """
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            *(f"{name}: {value}" for name, value in headers),
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        ours, theirs = socket.socketpair()
        with contextlib.closing(ours):
            ours.settimeout(seconds)
            watch(lambda: _shut(ours))
            self._adopt(theirs)
            try:
                with contextlib.suppress(BrokenPipeError):  # it has responded already
                    ours.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + body)
                response = http.client.HTTPResponse(ours, method=method)
                response.begin()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise Problem(503, NO_ANSWER) from error
        names = ((name.lower(), value) for name, value in response.getheaders())
        return Reply(response.status, dict(names), content)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed already
        sock.shutdown(socket.SHUT_RDWR)
