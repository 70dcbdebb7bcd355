"""The head of a request: read more strictly than gunicorn does, then by gunicorn's own parser.

What two servers in a row could understand differently is refused (RFC 9112, sections 2.2, 3.2, 5.1,
5.2, 6.1 and 6.3), whichever release of gunicorn is installed.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from ..headers import closes
from ..limits import Limits
from .refusal import Refusal

END = b"\r\n\r\n"
REST = rb"[\x21\x22\x24-\x7e]*"
LINE = re.compile(rb"(?:[A-Z]{3,20} /(?!/)" + REST + rb"|OPTIONS \*) HTTP/1\.([01])")
"""Not //path: a proxy that denies a path would let it through, and Flask takes it for /path."""
FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)"
)
"""A value does not begin with a blank: otherwise the time of a failed match is quadratic."""
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
"""The form in which requests are sent to proxies, and which every server has to accept."""
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
    """`request`: gunicorn's. `length`: of the body, None if it comes in chunks. `expects`: the
    client waits for 100 Continue before it sends the body.
    """

    def __init__(self, request: Any, fields: Mapping[bytes, bytes]) -> None:
        self.request = request
        self.method: str = request.method
        self.path: str = request.path
        chunked = b"transfer-encoding" in fields
        self.length = None if chunked else int(fields.get(b"content-length", 0))
        self.expects = b"expect" in fields and request.version >= (1, 1)


def search(data: bytearray, start: int, limits: Limits) -> int:
    """Where the head that `data` begins with ends, -1 if it is not complete. `start`: how much of
    it was searched before.

    Raises:
        Refusal: 414 or 431 it is too large already; 400 one of its lines ends without CR.
    """
    end = data.find(END, max(0, start - len(END)))
    last = len(data) if end < 0 else end + len(END)
    _check_ends(data, max(0, start - 1), last)
    first = data.find(b"\r\n", 0, limits.line_bytes + 2)
    if first < 0 and len(data) > limits.line_bytes + 1:
        raise Refusal(414, f"The request line is longer than {limits.line_bytes} bytes.")
    if last > limits.line_bytes + limits.headers * limits.header_bytes + len(END):
        raise Refusal(431, "The headers are too large.")
    return end if end < 0 else last


def _check_ends(data: bytearray, start: int, last: int) -> None:
    """CR and LF come together only; the CR at the end of what has come may wait for its LF."""
    pairs = data.count(b"\r\n", start, last)
    feeds = data.count(b"\n", start + (data[start : start + 1] == b"\n" and start > 0), last)
    if feeds != pairs or data.count(b"\r", start, last - 1) != pairs:
        raise Refusal(400, "A line of the head does not end with CR LF.")


def parse(data: bytes, cfg: Any, peer: Any, number: int, limits: Limits) -> Head:
    """The head `data` of the request that is the `number`th of its connection.

    Raises:
        Refusal: 400 it is malformed, 417 it expects something else than 100 Continue, 431 its
            headers are too many or too large.
    """
    first, _, rest = data[: -len(END)].partition(b"\r\n")
    lines = rest.split(b"\r\n") if rest else []
    absolute = ABSOLUTE.fullmatch(first)
    if absolute:
        first = _origin_form(absolute)
    line = LINE.fullmatch(first)
    if line is None:
        raise Refusal(400, "The request line is malformed.")
    newer = line.group(1) == b"1"
    fields = _fields(lines, limits)
    _check(fields, newer)
    if absolute:
        others = [each for each in lines if each[:5].lower() != b"host:"]
        data = b"\r\n".join([first, b"Host: " + absolute.group(2), *others]) + END
    try:
        request = Request(cfg, IterUnreader([data]), peer, number)
    except (ParseException, ValueError) as error:
        raise Refusal(400, "The head of the request is malformed.") from error
    if closes(fields.get(b"connection", b"").decode("latin-1"), newer):
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
        raise Refusal(431, f"There are more than {limits.headers} headers.")
    found: dict[bytes, bytes] = {}
    for line in lines:
        if len(line) + 2 > limits.header_bytes:
            raise Refusal(431, f"A header is larger than {limits.header_bytes} bytes.")
        match = FIELD.fullmatch(line)
        if match is None:
            raise Refusal(400, "A header is malformed.")
        name, value = match.group(1).lower(), match.group(2).rstrip(b" \t")
        if name in found and name in ONCE:
            raise Refusal(400, "A header came twice that may come once.")
        found[name] = found[name] + b"," + value if name in found else value
    return found


def _check(fields: Mapping[bytes, bytes], newer: bool) -> None:
    """`newer`: HTTP/1.1."""
    host = fields.get(b"host")
    if host is None and newer:
        raise Refusal(400, "There is no Host header.")
    if host is not None and not HOST.fullmatch(host):
        raise Refusal(400, "The Host header is malformed.")
    if not LENGTH.fullmatch(fields.get(b"content-length", b"0")):
        raise Refusal(400, "Content-Length is not a number.")
    coding = fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or not newer:
            raise Refusal(400, "The only transfer coding that is understood is chunked.")
        if b"content-length" in fields:
            raise Refusal(400, "There are both Content-Length and Transfer-Encoding.")
    if newer and fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        raise Refusal(417, "Only 100-continue can be expected.")
