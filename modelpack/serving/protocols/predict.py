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

SWITCH = {"true": True, "1": True, "false": False, "0": False}


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("predict", __name__)

    def ask(asked: Request) -> inference.BodyParser:
        write = negotiation.write(negotiation.writer(asked))
        also = switch(asked, "probabilities")
        read = negotiation.read(service, asked)

        def question(body: bytes) -> inference.InferenceRequest:
            ignored = service.extras
            return inference.build_request(
                service, read(body, ignored), write, service.methods_for(also), ignored
            )

        return question

    @blueprint.post("/predict")
    def predict() -> Response:
        """Predictions for rows; with ?probabilities=true also the probability of each class."""
        return inference.handle_request(service, ask)

    inference.register_route(blueprint, service, "/predict", ask)
    return blueprint


def switch(request: Request, name: str) -> bool:
    """The parameter of the URL that is true or false.

    Raises:
        Problem: 400 it is neither.
    """
    value = request.args.get(name, "false").lower()
    if value not in SWITCH:
        raise Problem(400, f"?{name}= takes true or false.")
    return SWITCH[value]


def describe(service: Service) -> dict[str, Any]:
    """Of rows in every form that `instances` takes."""
    taken, given = (
        predictions.request_body(service, _json(service)),
        predictions.response_body(service),
    )
    told = operations.post(taken, "The predictions.", given, [406], parameters(service))
    return {"/predict": {"post": told}}


def parameters(service: Service) -> list[dict[str, Any]]:
    """Of the URL."""
    return [PROBABILITIES] if "predict_proba" in service.methods else []


PROBABILITIES = {
    "name": "probabilities",
    "in": "query",
    "description": "Whether to answer the probability of each class, too.",
    "schema": {"type": "string", "enum": list(SWITCH), "default": "false"},
}


def _json(service: Service) -> dict[str, Any]:
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
