"""The page at `/`, assembled from the files of this folder.

The page is a client of `GET /` and `GET /signature`. Its policy (Content Security Policy, level 3)
allows no other script, no request to another origin, and no HTML from text.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from flask import Request

from .. import problems

DIRECTORY = Path(__file__).parent

SCRIPTS = (
    "text.js",
    "card.js",
    "controls.js",
    "fields.js",
    "answer.js",
    "history.js",
    "effects.js",
    "snippets.js",
    "batch.js",
    "playground.js",
)
"""The parts of the script, in order."""

POLICY = (
    "default-src 'none'",
    "script-src {script}",
    "style-src {style}",
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "{ancestors}",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)


@dataclass(frozen=True)
class Page:
    """The page, and its value of Content-Security-Policy."""

    html: bytes
    policy: str


MEDIA = ("application/json", "text/html")  # the first for */*


def prefers_html(request: Request) -> bool:
    """Return whether a request for `/` accepts HTML rather than JSON, as browsers do."""
    at_root = request.url_rule is not None and request.url_rule.rule == "/"
    return at_root and request.accept_mimetypes.best_match(MEDIA) == "text/html"


def assemble() -> Page:
    style = _read("playground.css")
    script = "\n".join(map(_read, SCRIPTS))
    html = _read("playground.html")
    html = html.replace("<style></style>", f"<style>{style}</style>")
    html = html.replace(
        '<script type="module"></script>', f'<script type="module">{script}</script>'
    )
    ancestors = problems.frame_ancestors(os.environ)
    policy = "; ".join(POLICY).format(
        script=_source(script), style=_source(style), ancestors=ancestors
    )
    return Page(html.encode(), policy)


def _read(name: str) -> str:
    return (DIRECTORY / name).read_text("utf-8")


def _source(text: str) -> str:
    """Return the source of an inline script or style in a policy: its digest."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
