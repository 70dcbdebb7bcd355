"""`Problem`: errors as application/problem+json, and security headers."""

from __future__ import annotations

import logging
import os
import re
from http import HTTPStatus
from typing import Any, Mapping, Tuple

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from .errors import StartupError

log = logging.getLogger("modelpack.serving")

DETAILS = {
    404: "This route does not exist. GET / lists the routes.",
    405: "This route does not support the method.",
}


class Problem(Exception):  # noqa: N818 - the name of RFC 9457
    """An error that the client receives as application/problem+json. See RFC 9457.

    Raise it in a route or a hook of your own to respond with a problem.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        """Describe an error.

        Args:
            status: The HTTP status code.
            detail: What is wrong, and what to send instead.
            errors: {"row", "column", "expected", "got"} of each wrong value.
            headers: More headers of the response.
        """
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}


def document(problem: Problem, request_id: str | None) -> bytes:
    """Return the body of a problem, application/problem+json."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": request_id,
    }
    if problem.errors:
        members["errors"] = problem.errors
    return orjson.dumps(members)


def response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response to a request that failed with a problem."""
    return Response(
        document(problem, g.get("request_id")),
        status=problem.status,
        headers={**problem.headers, **(headers or {})},
        content_type="application/problem+json",
    )


def install_problems(app: Flask) -> None:
    """Let `app` return every error as a problem."""
    app.register_error_handler(Problem, response)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    methods = getattr(error, "valid_methods", None)
    headers = {"Allow": ", ".join(sorted(methods))} if methods else None
    detail = DETAILS.get(status, HTTPStatus(status).description or HTTPStatus(status).phrase)
    return response(Problem(status, detail), headers)


def _unexpected_error(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error, extra={"facts": {"id": g.get("request_id")}})
    detail = "The service failed. The log shows the cause under this request id."
    return response(Problem(500, detail))


Headers = Tuple[Tuple[str, str], ...]

SECURITY_HEADERS: Headers = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
"""The headers of a service that no page may frame."""

FRAME_ANCESTORS = "MODELPACK_FRAME_ANCESTORS"
NO_ANCESTORS = "frame-ancestors 'none'"
ANCESTOR = re.compile(r"'self'|https?://(?:\*\.)?[A-Za-z0-9.-]+(?::[0-9]{1,5})?")
"""A source of Content Security Policy, level 3: an origin, or all hosts of a domain."""


def frame_ancestors(environ: Mapping[str, str]) -> str:
    """Return the directive for the pages that may frame those of the service (default: none).

    Raises:
        StartupError: The variable contains something else than origins.
    """
    sources = environ.get(FRAME_ANCESTORS, "").split()
    if not sources:
        return NO_ANCESTORS
    for source in sources:
        if not ANCESTOR.fullmatch(source):
            raise StartupError(
                f"{FRAME_ANCESTORS} contains {source!r}, not an origin such as https://example.com."
            )
    return "frame-ancestors " + " ".join(sources)


def security_headers(environ: Mapping[str, str] = os.environ) -> Headers:
    """Return SECURITY_HEADERS, with the pages that may frame those of the service.

    Raises:
        StartupError: See `frame_ancestors`.
    """
    directive = frame_ancestors(environ)
    if directive == NO_ANCESTORS:
        return SECURITY_HEADERS
    return tuple(
        (name, value.replace(NO_ANCESTORS, directive))
        for name, value in SECURITY_HEADERS
        if name != "X-Frame-Options"  # which cannot name pages
    )


def install_headers(app: Flask) -> None:
    """Add the security headers to the responses of `app`, unless a route has set them itself.

    Raises:
        StartupError: See `frame_ancestors`.
    """
    headers = security_headers()

    def add(response: Response) -> Response:
        present = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - of pairs
        for name, value in headers:
            if name.lower() not in present:
                response.headers.add(name, value)
        return response

    app.after_request(add)


def is_closing(connection: str, newer: bool) -> bool:
    """Return whether a connection is closed after a response. See RFC 9112, section 9.3.

    `connection` is the header of the request, `newer` whether it has version HTTP/1.1.
    """
    options = {option.strip(" \t").lower() for option in connection.split(",")}
    return "close" in options or not (newer or "keep-alive" in options)
