"""The friendly dialect: `POST /predict` with {"instances": [...]}, a list of rows, or one row as an
object. Each row is a list in the signature's order or an object by name.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from .. import answers, wire
from ..openapi import examples, operations, predictions
from ..openapi.operations import content, schema
from ..problems import Problem
from ..service import Service

SWITCH = {"true": True, "1": True, "false": False, "0": False}


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    def predict() -> Response:
        """Predictions for rows; with ?probabilities=true also the probability of each class."""
        also = service.probabilities if _switch("probabilities") else None
        body = wire.read_json_body(request, service.limits.body_bytes)
        rows = service.read(body, instances)
        more = {"probabilities": also(rows)} if also else {}
        answer = {"predictions": service.predict(rows), **more}
        return Response(answers.dump(answer), content_type="application/json")

    return blueprint


def instances(document: Any) -> list[Any]:
    """The rows in a document of this dialect.

    Raises:
        Problem: 422 it holds none.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise Problem(422, 'Expected {"instances": [...]}, a list of rows, or one row by name.')
    if "instances" not in document:
        return [document]
    rows = document["instances"]
    if not isinstance(rows, list) or len(document) > 1:
        raise Problem(422, 'Expected {"instances": [...]} with a list of rows, and nothing else.')
    return rows


def _switch(name: str) -> bool:
    value = request.args.get(name, "false").lower()
    if value not in SWITCH:
        raise Problem(400, f"?{name}= takes true or false.")
    return SWITCH[value]


def describe(service: Service) -> dict[str, Any]:
    """Of rows in every form that `instances` takes."""
    also = "predict_proba" in service.methods
    given = content(predictions.listed(also), predictions.listed_example(service))
    parameters = [PROBABILITIES] if also else []
    operation = operations.post(_bodies(service), "The predictions.", given, (), parameters)
    return {"/predict": {"post": operation}}


PROBABILITIES = {
    "name": "probabilities",
    "in": "query",
    "description": "Whether to answer the probability of each class, too.",
    "schema": {"type": "string", "enum": list(SWITCH), "default": "false"},
}


def _bodies(service: Service) -> dict[str, Any]:
    names = {field.name for field in service.manifest.inputs}
    forms = [schema("Instances"), schema("Rows")]
    if names and "instances" not in names:
        forms.append(schema("RowByName"))
    row, named = examples.row(service), examples.by_name(service)
    shown = {
        "lists": None if row is None else {"instances": [row]},
        "names": None if named is None else {"instances": [named]},
        "rows": None if row is None else [row],
        "row": named if "instances" not in names else None,
    }
    return content({"anyOf": forms}, shown)
