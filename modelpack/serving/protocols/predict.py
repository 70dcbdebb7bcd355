"""POST /predict."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Request, Response

from .. import inference
from ..media import negotiation
from ..openapi import operations, predictions, schemas
from ..openapi.operations import content, schema
from ..problems import Problem
from ..service import Service

FLAGS = {"true": True, "1": True, "false": False, "0": False}


def routes(service: Service) -> Blueprint:
    """Create POST /predict."""
    blueprint = Blueprint("predict", __name__)

    def parse(request: Request) -> inference.BodyParser:
        write = negotiation.response_writer(negotiation.select_writer(request))
        probabilities = query_flag(request, "probabilities")
        read = negotiation.rows_reader(service, request)

        def parse_body(body: bytes) -> inference.InferenceRequest:
            ignored = service.extras
            rows = read(body, ignored)
            methods = service.methods_for(probabilities)
            return inference.build_request(service, rows, write, methods, ignored)

        return parse_body

    @blueprint.post("/predict")
    def predict() -> Response:
        """Predict rows; with ?probabilities=true also the probability of each class."""
        return inference.handle_request(service, parse)

    inference.register_route(blueprint, service, "/predict", parse)
    return blueprint


def query_flag(request: Request, name: str) -> bool:
    """Return the value of a query parameter, true or false. Raise a Problem 400 for others."""
    value = request.args.get(name, "false").lower()
    if value not in FLAGS:
        raise Problem(400, f"The query parameter {name} must be true or false.")
    return FLAGS[value]


def describe(service: Service) -> dict[str, Any]:
    request = predictions.request_body(service, _json(service))
    response = predictions.response_body(service)
    parameters = query_parameters(service)
    operation = operations.post(request, "The predictions.", response, [406], parameters)
    return {"/predict": {"post": operation}}


def query_parameters(service: Service) -> list[dict[str, Any]]:
    """Return the query parameters of routes that predict."""
    return [PROBABILITIES] if "predict_proba" in service.methods else []


PROBABILITIES = {
    "name": "probabilities",
    "in": "query",
    "description": "Whether to return the probability of each class, too.",
    "schema": {"type": "string", "enum": list(FLAGS), "default": "false"},
}


def _json(service: Service) -> dict[str, Any]:
    """Return the content of a JSON request, with rows in all forms."""
    names = {field.name for field in service.manifest.inputs}
    forms = [schema("Instances"), schema("Rows")]
    if names and "instances" not in names:
        forms.append(schema("RowByName"))
    row, named = schemas.example_row(service), schemas.example_by_name(service)
    shown = {
        "lists": None if row is None else {"instances": [row]},
        "names": None if named is None else {"instances": [named]},
        "rows": None if row is None else [row],
        "row": named if "instances" not in names else None,
    }
    return content({"anyOf": forms}, shown)
