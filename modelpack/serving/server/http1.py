"""Strict HTTP/1.1 parsing and error responses.

Requests that a proxy and this server could parse differently are rejected, whichever release of
gunicorn is installed. See RFC 9112, sections 2.2, 3.2, 5.1, 5.2, 6.1 and 6.3.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Mapping, Union

from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from .. import problems
from ..observability import requests
from ..problems import is_closing
from ..protocols.v2 import routes
from ..settings import Limits

END = b"\r\n\r\n"
REST = rb"[\x21\x22\x24-\x7e]*"
LINE = re.compile(rb"(?:[A-Z]{3,20} /(?!/)" + REST + rb"|OPTIONS \*) HTTP/1\.([01])")
"""Without //path, which Flask takes for /path: a proxy that denies /path would let it through."""
FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)"
)
"""A value does not begin with a blank. Otherwise a failed match takes quadratic time."""
HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]+")
ABSOLUTE = re.compile(
    rb"([A-Z]{3,20}) (?i:https?)://("
    + HOST.pattern
    + rb")((?:/(?!/)"
    + REST
    + rb"|\?"
    + REST
    + rb")?)"
    rb" (HTTP/1\.[01])"
)
"""The form of requests to proxies, which every server has to accept."""
LENGTH = re.compile(rb"[0-9]{1,15}")
ONCE = {
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"expect",
    b"host",
    b"transfer-encoding",
}


class Head:
    """The head of a request.

    Attributes:
        length: Bytes of the body, or None if it is chunked.
        expects: The client waits for 100 Continue before it sends the body.
    """

    def __init__(self, request: Any, fields: Mapping[bytes, bytes]) -> None:
        self.request = request
        self.method: str = request.method
        self.path: str = request.path
        chunked = b"transfer-encoding" in fields
        self.length = None if chunked else int(fields.get(b"content-length", 0))
        self.expects = b"expect" in fields and request.version >= (1, 1)


def find_head_end(data: bytearray, start: int, limits: Limits) -> int:
    """Return the end of the head at the beginning of `data`, or -1 if it is incomplete.

    The first `start` bytes of `data` were searched before.

    Raises:
        RequestError: 414 or 431, the head is too large. 400, a line ends without CR.
    """
    end = data.find(END, max(0, start - len(END)))
    last = len(data) if end < 0 else end + len(END)
    _check_ends(data, max(0, start - 1), last)
    first = data.find(b"\r\n", 0, limits.line_bytes + 2)
    if first < 0 and len(data) > limits.line_bytes + 1:
        raise RequestError(414, f"The request line is longer than {limits.line_bytes} bytes.")
    if last > limits.line_bytes + limits.headers * limits.header_bytes + len(END):
        raise RequestError(431, "The headers are too large.")
    return end if end < 0 else last


def _check_ends(data: bytearray, start: int, last: int) -> None:
    """Require CR and LF in pairs, apart from a CR at the end whose LF may follow."""
    pairs = data.count(b"\r\n", start, last)
    feeds = data.count(b"\n", start + (data[start : start + 1] == b"\n" and start > 0), last)
    if feeds != pairs or data.count(b"\r", start, last - 1) != pairs:
        raise RequestError(400, "A line of the head does not end with CR LF.")


def parse(data: bytes, cfg: Any, peer: Any, number: int, limits: Limits) -> Head:
    """Parse the head of the `number`th request of a connection.

    Raises:
        RequestError: 400, the head is malformed. 417, it expects something else than 100 Continue.
            431, there are too many headers, or one is too large.
    """
    first, _, rest = data[: -len(END)].partition(b"\r\n")
    lines = rest.split(b"\r\n") if rest else []
    absolute = ABSOLUTE.fullmatch(first)
    if absolute:
        first = _origin_form(absolute)
    line = LINE.fullmatch(first)
    if line is None:
        raise RequestError(400, "The request line is malformed.")
    newer = line.group(1) == b"1"
    fields = _fields(lines, limits)
    _check(fields, newer)
    if absolute:
        others = [each for each in lines if each[:5].lower() != b"host:"]
        data = b"\r\n".join([first, b"Host: " + absolute.group(2), *others]) + END
    try:
        request = Request(cfg, IterUnreader([data]), peer, number)
    except (ParseException, ValueError) as error:
        raise RequestError(400, "The head of the request is malformed.") from error
    if is_closing(fields.get(b"connection", b"").decode("latin-1"), newer):
        request.force_close()
    return Head(request, fields)


def _origin_form(absolute: re.Match[bytes]) -> bytes:
    """Return the request line without scheme and host. See RFC 9112, section 3.2."""
    method, target = absolute.group(1), absolute.group(3)
    if not target and method == b"OPTIONS":
        target = b"*"
    elif not target.startswith(b"/"):
        target = b"/" + target
    return b" ".join([method, target, absolute.group(4)])


def _fields(lines: list[bytes], limits: Limits) -> dict[bytes, bytes]:
    if len(lines) > limits.headers:
        raise RequestError(431, f"There are more than {limits.headers} headers.")
    fields: dict[bytes, bytes] = {}
    for line in lines:
        if len(line) + 2 > limits.header_bytes:
            raise RequestError(431, f"A header is larger than {limits.header_bytes} bytes.")
        match = FIELD.fullmatch(line)
        if match is None:
            raise RequestError(400, "A header is malformed.")
        name, value = match.group(1).lower(), match.group(2).rstrip(b" \t")
        if name in fields and name in ONCE:
            raise RequestError(400, "A header came twice that may come once.")
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


def _check(fields: Mapping[bytes, bytes], newer: bool) -> None:
    """Check the fields that frame a request. `newer`: HTTP/1.1."""
    host = fields.get(b"host")
    if host is None and newer:
        raise RequestError(400, "There is no Host header.")
    if host is not None and not HOST.fullmatch(host):
        raise RequestError(400, "The Host header is malformed.")
    if not LENGTH.fullmatch(fields.get(b"content-length", b"0")):
        raise RequestError(400, "Content-Length is not a number.")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or not newer:
            raise RequestError(400, "The only transfer coding that is understood is chunked.")
        if b"content-length" in fields:
            raise RequestError(400, "There are both Content-Length and Transfer-Encoding.")
    if newer and fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise RequestError(417, "Only 100-continue can be expected.")


MAX_CHUNKS = 65_536
"""Chunks of one body. A chunk of one byte costs more to read than to send."""

MAX_CHUNK_LINE_BYTES = 256
MAX_TRAILER_BYTES = 8192
SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?")
TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*")
NEVER_LAST = {b"content-length", b"host", b"trailer", b"transfer-encoding"}


class Chunked:
    def __init__(self, limit: int) -> None:
        """`limit`: bytes of a body that is accepted."""
        self.body = bytearray()
        self._limit = limit
        self._chunks = 0
        self._left = 0  # bytes of the current chunk
        self._trailer = 0  # bytes after the last chunk
        self._read = self._size

    def take(self, data: bytearray) -> bool:
        """Move the beginning of `data` to the body, and return whether the body is complete.

        Raises:
            RequestError: 400, the chunks are malformed. 413, they are too large or too many.
        """
        while self._read(data):
            if self._read == self._end:
                return True
        return False

    def _size(self, data: bytearray) -> bool:
        line = _line(data, MAX_CHUNK_LINE_BYTES)
        if line is None:
            return False
        match = SIZE.fullmatch(line)
        if match is None:
            raise RequestError(400, "A chunk does not begin with its size.")
        self._left = int(match.group(1), 16)
        self._chunks += 1
        if len(self.body) + self._left > self._limit:
            raise RequestError(413, f"The body is larger than {self._limit} bytes.")
        if self._chunks > MAX_CHUNKS:
            raise RequestError(413, f"The body comes in more than {MAX_CHUNKS} chunks.")
        self._read = self._data if self._left else self._trailers
        return True

    def _data(self, data: bytearray) -> bool:
        piece = data[: self._left]
        self.body += piece
        del data[: len(piece)]
        self._left -= len(piece)
        if self._left or len(data) < 2:
            return False
        if data[:2] != b"\r\n":
            raise RequestError(400, "A chunk is longer than its stated size.")
        del data[:2]
        self._read = self._size
        return True

    def _trailers(self, data: bytearray) -> bool:
        """Check and drop a line after the last chunk."""
        line = _line(data, MAX_TRAILER_BYTES - self._trailer)
        if line is None:
            return False
        self._trailer += len(line) + 2
        if not line:
            self._read = self._end
            return True
        match = TRAILER.fullmatch(line)
        if match is None or match.group(1).lower() in NEVER_LAST:
            raise RequestError(400, "What follows the last chunk is malformed.")
        return True

    def _end(self, data: bytearray) -> bool:
        raise AssertionError(data)  # `take` reads nothing after the end


def _line(data: bytearray, limit: int) -> bytes | None:
    """Remove the first line from `data` and return it, or None if it is incomplete."""
    end = data.find(b"\n", 0, limit + 2)
    if end < 0:
        if len(data) > limit:
            raise RequestError(400, "A line between chunks is too long.")
        return None
    line = bytes(data[:end])
    del data[: end + 1]
    if not line.endswith(b"\r"):
        raise RequestError(400, "A line between chunks does not end with CR LF.")
    return line[:-1]


class Sized:
    """A body of `length` bytes."""

    def __init__(self, length: int) -> None:
        self.body = bytearray()
        self._left = length

    def take(self, data: bytearray) -> bool:
        """Move the beginning of `data` to the body, and return whether the body is complete."""
        piece = data[: self._left]
        self.body += piece
        del data[: len(piece)]
        self._left -= len(piece)
        return not self._left


Body = Union[Sized, Chunked]


def body_for(head: Head, limits: Limits) -> Body:
    """Return an empty body of the announced kind. Raise RequestError 413 if it is too large."""
    if head.length is None:
        return Chunked(limits.body_bytes)
    if head.length > limits.body_bytes:
        raise RequestError(413, f"The body is larger than {limits.body_bytes} bytes.")
    return Sized(head.length)


RETRY_SECONDS = 1
BUSY = f"Too many requests are waiting. Try again in {RETRY_SECONDS} s."


class RequestError(Exception):
    """The reason to reject a request before the application sees it.

    The first sentence of the detail is the `reason` of the metric `modelpack_refused`.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


PROTOCOL = re.compile(rb"[A-Z]+ (?:(?i:https?)://[^/ \r\n]*)?/v[12][/? ]")
REQUEST_ID = re.compile(rb"\nx-request-id:[ \t]*([A-Za-z0-9_-]{1,64})[ \t]*\r", re.IGNORECASE)


def error_response(
    error: RequestError, seconds: float, top: bytes = b"", *, head: bool = False, close: bool = True
) -> bytes:
    """Count and log a rejected request, and return the complete response.

    Args:
        error: The reason.
        seconds: Since the beginning of the request.
        top: What has arrived of the head, in which the id of the request and the protocol are
            searched. Clients of V1 and V2 get the member `error`.
        head: The response has no body.
        close: The connection is closed after the response.
    """
    match = REQUEST_ID.search(top)
    client_id = match.group(1).decode("ascii") if match else None
    request_id = requests.record_rejection(error.status, error.detail, seconds, client_id)
    problem = problems.Problem(error.status, error.detail)
    body = problems.document(problem, request_id)
    if PROTOCOL.match(top):
        body = routes.with_error(body)
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        f"Connection: {'close' if close else 'keep-alive'}",
        *(f"{name}: {value}" for name, value in problems.security_headers()),
    ]
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_SECONDS}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (b"" if head else body)
