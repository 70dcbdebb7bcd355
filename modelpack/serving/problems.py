"""`Problem`: errors as application/problem+json, and security headers."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Mapping

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

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


SECURITY_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


def install_headers(app: Flask) -> None:
    """Add SECURITY_HEADERS to the responses of `app`, unless a route has set them itself."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    present = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - of pairs
    for name, value in SECURITY_HEADERS:
        if name.lower() not in present:
            response.headers.add(name, value)
    return response


def is_closing(connection: str, newer: bool) -> bool:
    """Return whether a connection is closed after a response. See RFC 9112, section 9.3.

    `connection` is the header of the request, `newer` whether it has version HTTP/1.1.
    """
    options = {option.strip(" \t").lower() for option in connection.split(",")}
    return "close" in options or not (newer or "keep-alive" in options)
