"""What is answered without asking the application: malformed, too large, too slow, too many."""

from __future__ import annotations

import re
from email.utils import formatdate
from http import HTTPStatus

from .. import headers, observe, problems
from ..v2 import errors

RETRY_SECONDS = 1
BUSY = f"Too many requests are waiting. Try again in {RETRY_SECONDS} s."


class Refusal(Exception):  # noqa: N818 - as a Problem, it is an answer
    """A request that is refused before the application has seen it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


PROTOCOL = re.compile(rb"[A-Z]+ (?:(?i:https?)://[^/ \r\n]*)?/v[12][/? ]")
REQUEST_ID = re.compile(rb"\nx-request-id:[ \t]*([A-Za-z0-9_-]{1,64})[ \t]*\r", re.IGNORECASE)


def answer(
    refusal: Refusal, seconds: float, top: bytes = b"", *, head: bool = False, close: bool = True
) -> bytes:
    """Return the whole response, which has been counted and logged. `seconds`: since the request
    began. `top`: its head as far as it has come, with the id of the request and the protocol:
    clients of V1 and V2 get the member `error`.
    """
    found = REQUEST_ID.search(top)
    given = found.group(1).decode("ascii") if found else None
    request_id = observe.refused(refusal.status, refusal.detail, seconds, given)
    problem = problems.Problem(refusal.status, refusal.detail)
    body = problems.document(problem, request_id)
    if PROTOCOL.match(top):
        body = errors.with_error(body)
    lines = [
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        f"Connection: {'close' if close else 'keep-alive'}",
        *(f"{name}: {value}" for name, value in headers.SECURITY),
    ]
    if refusal.status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(f"Retry-After: {RETRY_SECONDS}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (b"" if head else body)
