"""Flask test clients of a service."""

from __future__ import annotations

import json
from pathlib import Path

from flask.testing import FlaskClient
from serving_models import Trained, render_bundle

from modelpack.serving import app as serving_app
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.service import Service


def client_for(trained: Trained, folder, format_="joblib") -> FlaskClient:
    """Return the client of a trained model, saved and rendered in `folder`."""
    return client_for_bundle(render_bundle(trained, folder, format_).directory)


def client_for_bundle(bundle: Path) -> FlaskClient:
    service = Service.load(bundle)
    app = serving_app.empty_app()
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    return app.test_client()


def post(client: FlaskClient, document, path="/predict"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.post(path, data=body, content_type="application/json")
