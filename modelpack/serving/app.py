"""`create_app(service)`: the Flask application."""

from __future__ import annotations

import os
from typing import Sequence

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from . import problems
from .errors import StartupError
from .observability import requests
from .openapi.document import EXTENSION
from .protocols import PROTOCOLS
from .security import auth
from .service import Service

ANY = "/*"
METHODS = "GET, HEAD, OPTIONS, POST"


class Segment(BaseConverter):
    """A part of a path. What follows a colon is no part of it: `/v1/models/NAME:predict`."""

    regex = "[^/:]+"


def create_app(service: Service, protocols: Sequence[str] | None = None) -> Flask:
    """Return the Flask application that serves a model.

    `protocols` are names as in `PROTOCOLS` (default: all). The health routes are always served.

    Raises:
        StartupError: A protocol is unknown, or the token or another variable is malformed.
    """
    known = [protocol.name for protocol in PROTOCOLS]
    unknown = sorted(set(protocols or ()) - set(known))
    if unknown:
        raise StartupError(f"unknown protocols: {', '.join(unknown)}; known: {', '.join(known)}")
    names = set(known if protocols is None else protocols) | {"health"}
    service.monitor(os.environ)
    app = empty_app()
    app.extensions[EXTENSION] = tuple(p for p in PROTOCOLS if p.name in names)
    for protocol in app.extensions[EXTENSION]:
        app.register_blueprint(protocol.routes(service))
    return app


def empty_app() -> Flask:
    """Return an application without routes. Raise StartupError if the token is malformed.

    It records each request, checks the token if one is set, adds the security headers, and returns
    errors as problem+json.
    """
    app = Flask(__name__, static_folder=None)
    app.extensions[EXTENSION] = PROTOCOLS
    app.url_map.merge_slashes = False  # //predict is no route, and nothing to be redirected from
    app.url_map.converters["default"] = Segment
    requests.install(app)
    auth.install(app, os.environ)
    problems.install_headers(app)
    problems.install_problems(app)
    app.add_url_rule(ANY, "any", _options, methods=["OPTIONS"], provide_automatic_options=False)
    return app


def _options() -> Response:
    """Return the methods of the service as a whole: `OPTIONS *`."""
    return Response(headers={"Allow": METHODS})
