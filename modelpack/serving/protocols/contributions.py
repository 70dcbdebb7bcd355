"""POST /contributions: what each input adds to the prediction of one row."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from ..contributions import METHODS, OUTPUTS, Contributions, Explainer, UnavailableError
from ..data import json_body, results
from ..inference import JSON
from ..openapi import operations, schemas
from ..problems import Problem
from ..service import Service

MAX_DIGITS = 10
EXPECTED = 'Expected {"instances": [...]} with one row.'


def routes(service: Service) -> Blueprint:
    """Create POST /contributions."""
    blueprint = Blueprint("contributions", __name__)
    explainer = Explainer(service)

    @blueprint.post("/contributions")
    def contributions() -> Response:
        """Return what each input adds to the prediction of one row, if this is known."""
        target = _target()
        body = json_body.read_body(request, service.limits.body_bytes)
        rows = service.read(body, _one_row, service.extras)
        service.require_predictable(rows)
        try:
            document = _document(service, explainer.explain(rows, target))
        except UnavailableError as error:
            document = {"method": None, "reason": str(error)}
        return Response(results.dump(document), content_type=JSON)

    return blueprint


def _target() -> int | None:
    text = request.args.get("target")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < MAX_DIGITS):
        raise Problem(400, "The query parameter target must be the number of an output, from 0.")
    return int(text)


def _one_row(document: Any) -> list[Any]:
    rows = document.get("instances") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(rows, list) or len(rows) != 1:
        raise Problem(422, EXPECTED)
    return rows


def _document(service: Service, result: Contributions) -> dict[str, Any]:
    inputs = [
        {"name": field.name, "contribution": value}
        for field, value in zip(service.manifest.inputs, result.values)
    ]
    for each, reference in zip(inputs, result.references or ()):
        each["reference"] = reference
    document = {
        "method": result.method,
        "output": result.output,
        "class": result.label,
        "target": result.target,
        "base": result.base,
        "total": result.total,
        "inputs": inputs,
    }
    if result.by_word is not None:
        pairs = zip(result.by_word.texts, result.by_word.values)
        document["words"] = [{"word": word, "contribution": value} for word, value in pairs]
        rest = result.by_word.rest
        document["other_words"] = {"number": result.by_word.others, "contribution": rest}
    if result.reason is not None:
        document["reason"] = result.reason
    return document


def describe(service: Service) -> dict[str, Any]:
    one = {"type": "array", "items": operations.schema("Row"), "minItems": 1, "maxItems": 1}
    document = operations.object_schema({"instances": one}, more=False)
    row = schemas.example_row(service)
    shown = {"instances": None if row is None else {"instances": [row]}}
    request_body = operations.content(document, shown)
    response_body = operations.content({"anyOf": [_known(), _unknown()]})
    operation = operations.post(
        request_body, "The contributions.", response_body, parameters=[TARGET]
    )
    del operation["responses"]["200"]["headers"]
    return {"/contributions": {"post": operation}}


TARGET = {
    "name": "target",
    "in": "query",
    "description": "The number of an output, if there are several (default: the largest one).",
    "schema": {"type": "integer", "minimum": 0, "maximum": 10 ** (MAX_DIGITS - 1) - 1},
}


def _known() -> dict[str, Any]:
    number, known = {"type": "number"}, {"type": ["number", "null"]}
    each = operations.object_schema(
        {"name": {"type": "string"}, "contribution": number}, {"reference": {}}
    )
    word = operations.object_schema({"word": {"type": "string"}, "contribution": number})
    others = operations.object_schema({"number": {"type": "integer"}, "contribution": known})
    return operations.object_schema(
        {
            "method": {"enum": list(METHODS)},
            "output": {"enum": list(OUTPUTS)},
            "class": {"description": "The predicted class; null for a regressor."},
            "target": {
                "type": ["integer", "null"],
                "description": "The number of the output; null if the model has one.",
            },
            "base": {
                **known,
                "description": "The output without contributions; null if they do not add up.",
            },
            "total": {**number, "description": "The output: the base and all contributions."},
            "inputs": {"type": "array", "items": each},
        },
        {
            "words": {"type": "array", "items": word, "description": "Of a model of one text."},
            "other_words": others,
            "reason": {"type": "string", "description": "Why no contributions that add up exist."},
        },
    )


def _unknown() -> dict[str, Any]:
    return operations.object_schema({"method": {"type": "null"}, "reason": {"type": "string"}})
