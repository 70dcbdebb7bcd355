"""The Flask application that a bundle's app.py starts from."""

from __future__ import annotations

import os

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from . import auth, headers, observe, problems

ANY = "/*"
METHODS = "GET, HEAD, OPTIONS, POST"


class Segment(BaseConverter):
    """A part of a path. What follows a colon is no part of it: `/v1/models/NAME:predict`."""

    regex = "[^/:]+"


def create() -> Flask:
    """An application without routes: each request is seen, and asked for the token if one is set;
    answers have the headers of `headers`, and errors are problem+json.

    Raises:
        CannotStartError: the token that is set cannot be one.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # //predict is no route, and nothing to be redirected from
    app.url_map.converters["default"] = Segment
    observe.install(app)
    auth.install(app, os.environ)
    headers.install(app)
    problems.install(app)
    app.add_url_rule(ANY, "any", _options, methods=["OPTIONS"], provide_automatic_options=False)
    return app


def _options() -> Response:
    """Return the methods of the service as a whole: `OPTIONS *`."""
    return Response(headers={"Allow": METHODS})
