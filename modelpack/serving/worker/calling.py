"""Asking the WSGI application, and keeping what it says until it can be sent."""

from __future__ import annotations

import io
import logging
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException

from .. import observe
from ..limits import Limits
from . import head
from .predicting import Job
from .refusal import Refusal, answer

log = logging.getLogger("modelpack.serving")


class Paper:
    """What gunicorn's response writes on, in place of a socket."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.parts.append(data)

    def send(self, data: bytes) -> int:
        """Only "100 Continue" is written by this; the client got it when it was due."""
        return len(data)


def call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    """The whole response, and whether the connection is closed after it."""
    try:
        return _call(app, job, cfg)
    except ParseException:
        return answer(Refusal(400, "The head of the request is malformed."), job.waited), True
    except BaseException:  # of code of the bundle's author, which may even try to exit
        log.exception("unforeseen")
        return answer(Refusal(500, "The service failed. Its log tells why."), job.waited), True


def environ(raw: bytes, addresses: tuple[Any, Any], cfg: Any, limits: Limits) -> dict[str, Any]:
    """The WSGI environ of a request with this head.

    Raises:
        Refusal: as `head.parse`.
    """
    request = head.parse(raw, cfg, addresses[0], 1, limits).request
    made: dict[str, Any] = wsgi.create(request, Paper(), *addresses, cfg)[1]
    return made


def _call(app: Any, job: Job, cfg: Any) -> tuple[bytes, bool]:
    paper = Paper()
    job.request.body = io.BytesIO(job.body)
    response, environ = wsgi.create(job.request, paper, *job.connection.addresses, cfg)
    environ.update({"wsgi.multithread": True, observe.WAITED: job.waited})
    parts = app(environ, response.start_response)
    try:
        for part in parts:
            response.write(part)
        response.close()
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return b"".join(paper.parts), response.should_close()
