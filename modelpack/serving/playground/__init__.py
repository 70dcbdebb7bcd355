"""Assembles the page.

It is a client like any other: what it shows of the model it asks of `GET /` and `GET /signature`.
Its policy (Content Security Policy, level 3) lets it run nothing but itself, ask nobody but the
service that it came from, and make no element out of a text.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Request

HERE = Path(__file__).parent

SCRIPTS = (
    "text.js",
    "card.js",
    "controls.js",
    "fields.js",
    "answer.js",
    "snippets.js",
    "batch.js",
    "playground.js",
)
"""In this order they are the page's one script."""

POLICY = (
    "default-src 'none'",
    "script-src {script}",
    "style-src {style}",
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)


@dataclass(frozen=True)
class Page:
    """`policy`: the value of Content-Security-Policy that goes with `html`."""

    html: bytes
    policy: str


MEDIA = ("application/json", "text/html")  # */* gets the first of them


def prefers_html(request: Request) -> bool:
    """Whether it is a browser that asks for the page, and not a program for the facts."""
    at_root = request.url_rule is not None and request.url_rule.rule == "/"
    return at_root and request.accept_mimetypes.best_match(MEDIA) == "text/html"


def assemble() -> Page:
    """The page, of the files beside this one."""
    style = _read("playground.css")
    script = "\n".join(map(_read, SCRIPTS))
    html = _read("playground.html")
    html = html.replace("<style></style>", f"<style>{style}</style>")
    html = html.replace(
        '<script type="module"></script>', f'<script type="module">{script}</script>'
    )
    policy = "; ".join(POLICY).format(script=_source(script), style=_source(style))
    return Page(html.encode(), policy)


def _read(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def _source(text: str) -> str:
    """How a policy names an inline script or style: by its digest."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
