"""What is answered without asking the application: malformed, too large, too slow, too many."""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

from .. import headers, observe, problems

RETRY_SECONDS = 1
BUSY = f"Too many requests are waiting. Try again in {RETRY_SECONDS} s."


class Refusal(Exception):  # noqa: N818 - as a Problem, it is an answer
    """A request that is refused before the application has seen it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def answer(refusal: Refusal, seconds: float, *, head: bool = False, close: bool = True) -> bytes:
    """The whole response, which has been counted and logged. `seconds`: since the request began."""
    request_id = observe.refused(refusal.status, refusal.detail, seconds)
    problem = problems.Problem(refusal.status, refusal.detail)
    body = problems.document(problem, request_id)
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
