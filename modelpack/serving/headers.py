"""Headers: those that every answer has, and what a request's Connection header asks for."""

from __future__ import annotations

from flask import Flask, Response

SECURITY = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


def install(app: Flask) -> None:
    """Add them to the answers of `app`, but for those that a route has set itself."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    given = {name.lower() for name in response.headers.keys()}  # noqa: SIM118 - of pairs
    for name, value in SECURITY:
        if name.lower() not in given:
            response.headers.add(name, value)
    return response


def closes(connection: str, newer: bool) -> bool:
    """Whether a connection ends with the answer to a request with the header `connection`.

    `newer`: of HTTP/1.1. Source: RFC 9112, section 9.3.
    """
    options = {option.strip(" \t").lower() for option in connection.split(",")}
    return "close" in options or not (newer or "keep-alive" in options)
