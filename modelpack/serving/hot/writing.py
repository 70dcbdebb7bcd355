"""The bytes of responses to plain requests: those that Flask and gunicorn would send."""

from __future__ import annotations

import time
from email.utils import formatdate

from .. import headers, observe
from ..questions import Reply

SECURITY = "".join(f"{name}: {value}\r\n" for name, value in headers.SECURITY)


class Clock:
    """The value of `Date`, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def date(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def response(reply: Reply, seen: observe.Seen, date: str, *, closes: bool) -> bytes:
    """A whole response of status 200."""
    own = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    ids = "".join(f"{name}: {value}\r\n" for name, value in observe.ids(seen))
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: {'close' if closes else 'keep-alive'}\r\n"
        f"{own}Content-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}\r\n"
        f"{SECURITY}{ids}\r\n"
    )
    return head.encode("latin-1") + reply.body
