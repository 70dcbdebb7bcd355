"""One connection.

A connection is in one of these states. Each has a deadline.

    HEAD --> BODY --> TURN --> ANSWER --> HEAD, for the next request
      |        |                  |
      +--------+-----rejected-----+--> LINGER, until the client has received the response

A client may close its half of the connection after its requests. TCP does not show whether it
still reads, so its requests are answered after those of other clients.
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
"""Bytes of an incomplete head in which the request id and the protocol are searched."""
AHEAD_BYTES = 1 << 16
"""Bytes of following requests that are read while one is answered."""
LINGER_SECONDS = 5.0
LINGER_BYTES = 1 << 26
MIN_BYTES_PER_SECOND = 1 << 20
"""The rate at which a client must read a response that takes longer than `write_seconds`."""


class Connection:
    """A client's connection. The event loop calls `readable`, `writable` and `expire`."""

    def __init__(self, sock: socket.socket, addresses: tuple[Any, Any], loop: Any) -> None:
        self.sock = sock
        self.addresses = addresses
        self.state = HEAD
        self.since = time.monotonic()  # the start of the current request, or of the silence
        self.deadline = self.since + loop.limits.header_seconds
        self.data = bytearray()
        self.held = 0  # bytes in memory that the loop has counted
        self.ended = False  # the client sends nothing more
        self._loop = loop
        self._searched = 0
        self._requests = 0
        self._head: http1.Head | None = None
        self._fast: Any = None  # in place of the head, for a request that is answered without Flask
        self._raw = b""
        self._body: http1.Body | None = None
        self._job: Job | None = None
        self._out = memoryview(b"")
        self._closes = False
        self._discarded = 0

    @property
    def quiet(self) -> bool:
        """Whether no byte of a request has arrived, apart from half of an empty line."""
        return self.state == HEAD and (not self.data or self.data == b"\r")

    def readable(self) -> None:
        """Read what has arrived."""
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
            self.proceed()

    def _end(self) -> None:
        """Answer the complete requests, and close the connection after the last one."""
        self.ended = True
        self._loop.watch(self, read=False)
        if self.state == TURN and self._job is not None:
            self._loop.defer(self._job)
        elif self.state == LINGER:
            self.close()
        else:
            self.proceed()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES:
            self.close()

    def proceed(self) -> None:
        """Parse the bytes that have been read."""
        before = self._requests
        try:
            if self.state == HEAD:
                self._read_head()
            if self.state == BODY:
                self._read_body()
            self._account_memory()
        except RequestError as error:
            self.reject(error)
        if self.ended and self.state == BODY:
            self.reject(RequestError(400, "The body broke off."))
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
        if not self._searched and self._read_fast():
            return
        end = http1.find_head_end(self.data, self._searched, limits)
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
        """Skip the empty line that some clients send after a body. See RFC 9112, section 2.2."""
        match = EMPTY_LINES.match(self.data)
        if match:
            del self.data[: match.end()]

    def _read_fast(self) -> bool:
        """Take the head if the request can be answered without Flask, and return whether it can."""
        end = self.data.find(http1.END)
        raw = bytes(self.data[: end + len(http1.END)])
        self._fast = self._loop.match_fast(raw, self.addresses) if end >= 0 else None
        if self._fast is None:
            return False
        del self.data[: len(raw)]
        self._requests += 1
        self._raw = raw
        self._body = http1.Sized(self._fast.length)
        self.state = BODY
        self.deadline = self.since + self._loop.limits.body_seconds
        return True

    def _continue(self) -> None:
        with contextlib.suppress(OSError):  # a client that does not read will not send either
            self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _read_body(self) -> None:
        assert self._body is not None  # noqa: S101
        if not self._body.take(self.data):
            return
        self.state = TURN
        self._searched = 0
        request = self._raw if self._head is None else self._head.request
        self._job = job = Job(self, request, bytes(self._body.body), self._fast)
        self._body = None
        self.deadline = job.queued + self._loop.limits.predict_seconds
        self._loop.submit(job, self._head)

    def _account_memory(self) -> None:
        held = len(self.data)
        if self._body is not None:
            held += len(self._body.body)
        elif self._job is not None:
            held += len(self._job.body)
        self._loop.account_memory(self, held)
        if self.state == TURN and len(self.data) > AHEAD_BYTES:
            self._loop.watch(self, read=False)

    def reject(self, error: RequestError, *, close: bool = True) -> None:
        """Respond to the current request with a problem."""
        is_head = self._head is not None and self._head.method == "HEAD"
        seconds = time.monotonic() - self.since
        close = close or self._loop.closing
        self._give_up_job()
        top = self._raw or bytes(self.data[:TOP_BYTES])
        self.send(error_response(error, seconds, top, head=is_head, close=close), closes=close)

    def _give_up_job(self) -> None:
        if self._job is not None:
            self._loop.give_up(self._job)

    def send(self, data: bytes, *, closes: bool) -> None:
        """Send a complete response, as fast as the client reads it."""
        self.state = ANSWER
        self._job = self._head = self._fast = self._body = None
        self._raw = b""
        self._closes = closes or self._closes
        self._out = memoryview(data)
        seconds = self._loop.limits.write_seconds + len(data) / MIN_BYTES_PER_SECOND
        self.deadline = time.monotonic() + seconds
        self.writable()

    def writable(self) -> None:
        """Write what the client can receive."""
        try:
            while self._out:
                self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            self._wait_to_write()
        except OSError:
            self.close()
        else:
            self._start_next_request()

    def _wait_to_write(self) -> None:
        self._loop.watch(self, read=False, write=True)
        try:
            self._loop.account_memory(self, len(self._out))
        except RequestError:
            self.close(abort=True)

    def _start_next_request(self) -> None:
        self._loop.account_memory(self, 0)
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
            self._loop.proceed_later(self)

    def is_reset(self) -> bool:
        """Return whether a client that has closed its half is gone, which no event shows."""
        return self.ended and self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def expire(self) -> None:
        """Reject the request or close the connection, as the deadline has passed."""
        if self.state == HEAD and not self.quiet:
            self.reject(RequestError(408, "The head of the request took too long."))
        elif self.state == BODY:
            self.reject(RequestError(408, "The body of the request took too long."))
        elif self.state == TURN and self._job is not None:
            self._loop.reject_waiting(self._job)
        else:
            self.close(abort=self.state == ANSWER)

    def close(self, *, abort: bool = False) -> None:
        """Close the socket. `abort`: drop what the client has not received."""
        self._give_up_job()
        self.state = LINGER
        self._loop.forget(self)
        if abort:
            with contextlib.suppress(OSError):  # it is closed already
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
