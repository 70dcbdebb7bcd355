"""Headers that every answer has: what a browser may not do with it."""

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
