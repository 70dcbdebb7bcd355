"""The Flask application that a bundle's app.py starts from."""

from __future__ import annotations

from flask import Flask

from . import logs, problems


def create() -> Flask:
    """An application without routes: request ids, a log line a request, errors as problem+json."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # //predict is no route, and nothing to be redirected from
    logs.install(app)
    problems.install(app)
    return app
