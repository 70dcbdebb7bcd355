"""One connection.

A connection is always in one of these states, and each has a deadline:

    HEAD --> BODY --> TURN --> ANSWER --> HEAD, for the next request
      |        |                  |
      +--------+------refused-----+--> LINGER, until the client has seen the answer

A client may close its half of the connection once it has sent its requests. TCP does not show
whether it still reads, so all of them are answered, after those of other clients.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from typing import Any

from . import http1
from .http1 import RequestError, error_response
from .predictor import Job

HEAD, BODY, TURN, ANSWER, LINGER = "head", "body", "turn", "answer", "linger"
READ_BYTES = 1 << 16
LINE_ENDS = (b"\r", b"\n", b"")
EMPTY_LINES = re.compile(rb"(?:\r?\n)+")
TOP_BYTES = 4096
"""Of a head that is not complete, to find out what was asked."""
AHEAD_BYTES = 1 << 16
"""Of following requests that are read while one is answered."""
LINGER_SECONDS = 5.0
LINGER_BYTES = 1 << 26
MINIMAL_RATE = 1 << 20
"""Bytes of an answer that a client takes in a second, if not all in the seconds it has anyway."""


class Connection:
    """`loop`: the event loop, which calls `readable`, `writable` and `expire`."""

    def __init__(self, sock: socket.socket, addresses: tuple[Any, Any], loop: Any) -> None:
        self.sock = sock
        self.addresses = addresses
        self.state = HEAD
        self.since = time.monotonic()  # of the request at hand, or of the silence
        self.deadline = self.since + loop.limits.header_seconds
        self.data = bytearray()
        self.held = 0  # bytes in memory, as the loop has counted them
        self.ended = False  # the client sends nothing more
        self._loop = loop
        self._searched = 0
        self._requests = 0
        self._head: http1.Head | None = None
        self._plain: Any = None  # in its place, of a request that is answered without Flask
        self._raw = b""
        self._body: http1.Body | None = None
        self._job: Job | None = None
        self._out = memoryview(b"")
        self._closes = False
        self._discarded = 0

    @property
    def quiet(self) -> bool:
        """Nothing of a request has come, or only the first half of an empty line."""
        return self.state == HEAD and (not self.data or self.data == b"\r")

    def readable(self) -> None:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # the client is gone
            self.close()
            return
        if not data:
            self._end()
        elif self.state == LINGER:
            self._discard(len(data))
        else:
            self.data += data
            self.go_on()

    def _end(self) -> None:
        """Answer the requests that are complete, and close the connection after the last."""
        self.ended = True
        self._loop.watch(self, read=False)
        if self.state == TURN and self._job is not None:
            self._loop.defer(self._job)
        elif self.state == LINGER:
            self.close()
        else:
            self.go_on()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.close()

    def go_on(self) -> None:
        """Go on with what has been read."""
        before = self._requests
        try:
            if self.state == HEAD:
                self._read_head()
            if self.state == BODY:
                self._read_body()
            self._hold()
        except RequestError as refusal:
            self.refuse(refusal)
        if self.ended and self.state == BODY:
            self.refuse(RequestError(400, "The body broke off."))
        elif self.ended and self.state == HEAD and self._requests == before:
            self.close()

    def _read_head(self) -> None:
        if not self._searched:
            if self.data[:1] in LINE_ENDS:
                self._skip_empty_lines()
                if self.quiet:
                    return
            self.since = time.monotonic()
            self.deadline = self.since + self._loop.limits.header_seconds
        limits = self._loop.limits
        if not self._searched and self._read_plain():
            return
        end = http1.search(self.data, self._searched, limits)
        self._searched = len(self.data)
        if end < 0:
            return
        self._requests += 1
        self._raw = raw = bytes(self.data[:end])
        del self.data[:end]
        self._head = http1.parse(raw, self._loop.cfg, self.addresses[0], self._requests, limits)
        self._body = http1.body_for(self._head, limits)
        self.state = BODY
        self.deadline = time.monotonic() + limits.body_seconds
        if self._head.expects and not self.data:
            self._continue()

    def _skip_empty_lines(self) -> None:
        """Some clients send one after a body. See RFC 9112, section 2.2."""
        match = EMPTY_LINES.match(self.data)
        if match:
            del self.data[: match.end()]

    def _read_plain(self) -> bool:
        """Whether the request is one that is answered without Flask."""
        end = self.data.find(http1.END)
        raw = bytes(self.data[: end + len(http1.END)])
        self._plain = self._loop.plain(raw, self.addresses) if end >= 0 else None
        if self._plain is None:
            return False
        del self.data[: len(raw)]
        self._requests += 1
        self._raw = raw
        self._body = http1.Sized(self._plain.length)
        self.state = BODY
        self.deadline = self.since + self._loop.limits.body_seconds
        return True

    def _continue(self) -> None:
        with contextlib.suppress(OSError):  # who does not take this line will not send either
            self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _read_body(self) -> None:
        assert self._body is not None  # noqa: S101
        if not self._body.take(self.data):
            return
        self.state = TURN
        self._searched = 0
        request = self._raw if self._head is None else self._head.request
        self._job = job = Job(self, request, bytes(self._body.body), self._plain)
        self._body = None
        self.deadline = job.queued + self._loop.limits.predict_seconds
        self._loop.submit(job, self._head)

    def _hold(self) -> None:
        """Let the loop count what is kept in memory for this client."""
        held = len(self.data)
        if self._body is not None:
            held += len(self._body.body)
        elif self._job is not None:
            held += len(self._job.body)
        self._loop.hold(self, held)
        if self.state == TURN and len(self.data) > AHEAD_BYTES:
            self._loop.watch(self, read=False)

    def refuse(self, refusal: RequestError, *, close: bool = True) -> None:
        """Answer the request at hand with a problem."""
        is_head = self._head is not None and self._head.method == "HEAD"
        seconds = time.monotonic() - self.since
        close = close or self._loop.closing
        self._give_up()
        top = self._raw or bytes(self.data[:TOP_BYTES])
        self.send(error_response(refusal, seconds, top, head=is_head, close=close), closes=close)

    def _give_up(self) -> None:
        if self._job is not None:
            self._loop.give_up(self._job)

    def send(self, data: bytes, *, closes: bool) -> None:
        """Send a whole response, as fast as the client takes it."""
        self.state = ANSWER
        self._job = self._head = self._plain = self._body = None
        self._raw = b""
        self._closes = closes or self._closes
        self._out = memoryview(data)
        seconds = self._loop.limits.write_seconds + len(data) / MINIMAL_RATE
        self.deadline = time.monotonic() + seconds
        self.writable()

    def writable(self) -> None:
        try:
            while self._out:
                self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            self._wait_to_write()
        except OSError:
            self.close()
        else:
            self._answered()

    def _wait_to_write(self) -> None:
        self._loop.watch(self, read=False, write=True)
        try:
            self._loop.hold(self, len(self._out))
        except RequestError:
            self.close(abort=True)

    def _answered(self) -> None:
        self._loop.hold(self, 0)
        self._loop.watch(self, read=not self.ended)
        now = self.since = time.monotonic()
        if self.ended and (self._closes or not self.data):
            self.close()
            return
        if self._closes:
            self.state, self.deadline = LINGER, now + LINGER_SECONDS
            self.data = bytearray()
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            return
        self.state, self.deadline = HEAD, now + self._loop.limits.idle_seconds
        if self.data:
            self._loop.later(self)

    def is_reset(self) -> bool:
        """Return whether a client that has ended is gone, which nothing else would show."""
        return self.ended and self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def expire(self) -> None:
        """The deadline has passed."""
        if self.state == HEAD and not self.quiet:
            self.refuse(RequestError(408, "The head of the request took too long."))
        elif self.state == BODY:
            self.refuse(RequestError(408, "The body of the request took too long."))
        elif self.state == TURN and self._job is not None:
            self._loop.overdue(self._job)
        else:
            self.close(abort=self.state == ANSWER)

    def close(self, *, abort: bool = False) -> None:
        """`abort`: forget what the client has not taken."""
        self._give_up()
        self.state = LINGER
        self._loop.forget(self)
        if abort:
            with contextlib.suppress(OSError):  # it is closed already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
