"""`create_app(service)`: the Flask application."""

from __future__ import annotations

import os

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from . import problems
from .observability import requests
from .security import auth

ANY = "/*"
METHODS = "GET, HEAD, OPTIONS, POST"


class Segment(BaseConverter):
    """A part of a path. What follows a colon is no part of it: `/v1/models/NAME:predict`."""

    regex = "[^/:]+"


def create_app() -> Flask:
    """An application without routes: each request is seen, and asked for the token if one is set;
    answers have the headers of `headers`, and errors are problem+json.

    Raises:
        CannotStartError: the token that is set cannot be one.
    """
    app = Flask(__name__, static_folder=None)
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
