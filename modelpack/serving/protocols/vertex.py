"""The routes that Vertex AI names in the environment.

See https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements. The routes
may have the paths of other protocols, so this protocol is registered before them.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Response

from .. import inference, platforms
from ..data import results
from ..openapi import operations, predictions, schemas
from ..service import Service
from . import invocations


def routes(service: Service) -> Blueprint:
    """Create the routes that the environment names.

    Raises:
        StartupError: A variable is not a path.
    """
    blueprint = Blueprint("vertex", __name__)
    predict_path = platforms.vertex_route(os.environ, platforms.PREDICT_ROUTE)
    health_path = platforms.vertex_route(os.environ, platforms.HEALTH_ROUTE)
    parse = invocations.request_parser(service, invocations.VERTEX)

    def predict() -> Response:
        """Vertex AI: predict rows."""
        return inference.handle_request(service, parse)

    def health() -> Response:
        """Vertex AI: return 200 if the model predicts its own example."""
        service.require_ready()
        return Response(results.dump({"status": "ready"}), content_type="application/json")

    if health_path:
        blueprint.get(health_path, endpoint="get_health")(health)
    if predict_path:
        blueprint.post(predict_path, endpoint=inference.view_name(predict_path))(predict)
        inference.register_route(blueprint, service, predict_path, parse)
    return blueprint


def describe(service: Service) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    health_path = platforms.vertex_route(os.environ, platforms.HEALTH_ROUTE)
    predict_path = platforms.vertex_route(os.environ, platforms.PREDICT_ROUTE)
    if health_path:
        ready = operations.content(operations.status_schema("ready"))
        paths.setdefault(health_path, {})["get"] = operations.get("Ready.", ready)
    if predict_path:
        paths.setdefault(predict_path, {})["post"] = _predict(service)
    return paths


def _predict(service: Service) -> dict[str, Any]:
    params = {"anyOf": [invocations.params_schema(service), {"type": "null"}]}
    rows = {"instances": operations.schema("Rows")}
    document = operations.object_schema(rows, {invocations.VERTEX.params: params}, False)
    row = schemas.example_row(service)
    shown = {"instances": None if row is None else {"instances": [row]}}
    request = predictions.request_body(service, operations.content(document, shown))
    response = predictions.response_body(service)
    example = predictions.listed_example(service)
    response.update(operations.content(invocations.response_schema(), example))
    return operations.post(request, "The predictions.", response, [406])
