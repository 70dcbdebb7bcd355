"""JSON Schemas of answers, and bodies per media type."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import orjson

from .. import media
from ..data import results
from ..problems import Problem
from ..runtimes import estimator
from ..service import Service
from . import operations
from . import schemas as openapi_schemas
from .operations import content

NUMBER = {"type": ["number", "null"], "format": "double"}
"""NaN and infinity come as null."""
MAX_LABELS = 200


def schemas(service: Service) -> dict[str, Any]:
    """The component `Prediction`, and `Probabilities` where the model gives them."""
    found = {"Prediction": _prediction(service)}
    if "predict_proba" in service.methods:
        found["Probabilities"] = _probabilities(service)
    return found


def example(service: Service) -> list[Any] | None:
    """The prediction for the model's own example, as JSON has it; None where there is none."""
    output = _output(service)
    return None if output is None else _json(output.tolist())


def predictions_schema(probabilities: bool = False) -> dict[str, Any]:
    """Of an answer {"predictions": [...]}, and `probabilities` where they were asked for."""
    told = {"type": "array", "items": operations.schema("Prediction"), "minItems": 1}
    also = {"type": "array", "items": operations.schema("Probabilities"), "minItems": 1}
    more = {"probabilities": also} if probabilities else {}
    return operations.object_schema({"predictions": told}, more)


def listed_example(service: Service) -> dict[str, Any]:
    """For `operations.content`."""
    answer = example(service)
    return {"example": None if answer is None else {"predictions": answer}}


def _output(service: Service) -> np.ndarray | None:
    """(1, ...)"""
    result = _call_on_example(service, service.manifest.method)
    try:
        most = service.limits.answer_values
        return None if result is None else results.require_rows(result, 1, most)
    except (Problem, results.UnfitError):  # too large, or not an answer
        return None


def _call_on_example(service: Service, method: str) -> Any:
    """What the model gives for its own example, which is not counted as a prediction; None where
    none is known, or the model fails.
    """
    row = service.manifest.example
    if not service.ready or row is None:
        return None
    try:
        return estimator.contained(service.runner.call, method, service.decode_rows([row]))
    except Exception:
        return None


def _json(values: list[Any]) -> list[Any]:
    listed: list[Any] = orjson.loads(results.dump(values))
    return listed


def _prediction(service: Service) -> dict[str, Any]:
    output = _output(service)
    if output is None:
        return {"description": "What the model gives for one row."}
    schema = _labels(service, output) or _array(_value(service, output), output.shape[1:])
    return {**schema, "examples": _json(output.tolist())}


def _array(value: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    for size in reversed(shape):
        value = {"type": "array", "items": value, "minItems": size, "maxItems": size}
    return value


def _value(service: Service, output: np.ndarray) -> dict[str, Any]:
    if output.dtype.kind in "iu" and service.manifest.method == "predict":
        return {"type": "integer"}
    if output.dtype.kind in "iuf":
        return dict(NUMBER)
    if output.dtype.kind == "b":
        return {"type": "boolean"}
    return {"type": "string"} if output.dtype.kind == "U" else {}


def _labels(service: Service, output: np.ndarray) -> dict[str, Any] | None:
    """Of a classifier of one output, its classes: if they are what it answers with."""
    classes = service.manifest.classes if service.manifest.method == "predict" else None
    if not classes or output.ndim != 1:
        return None
    known, given = _json(list(classes)), _json(output.tolist())
    if not {results.dump(each) for each in given} <= {results.dump(each) for each in known}:
        return None
    return {"enum": known}


def _probabilities(service: Service) -> dict[str, Any]:
    """Of a model with several outputs, a list of one object each."""
    result = _call_on_example(service, "predict_proba")
    try:
        (row,) = answer = _json(results.probabilities(result, service.runner.classes))
    except (results.UnfitError, ValueError):  # unknown, or not one for each class of one row
        return {"description": "The probability of each class."}
    schema = (
        _probabilities_of_outputs(row) if isinstance(row, list) else _probabilities_of_classes(row)
    )
    return {**schema, "examples": answer}


def _probabilities_of_outputs(row: list[dict[str, Any]]) -> dict[str, Any]:
    return operations.tuple_schema([_probabilities_of_classes(each) for each in row])


def _probabilities_of_classes(row: dict[str, Any]) -> dict[str, Any]:
    if len(row) > MAX_LABELS:
        return {"type": "object", "additionalProperties": NUMBER}
    return {
        "type": "object",
        "properties": dict.fromkeys(row, NUMBER),
        "required": list(row),
        "additionalProperties": False,
    }


TEXTS = ("text/csv", "application/jsonlines")
"""Whose content is text; that of the others is bytes."""


def request_body(service: Service, json: dict[str, Any]) -> dict[str, Any]:
    """`json`: the content for JSON, of which each dialect has its own."""
    rows = {"text/csv": _csv(service), "application/jsonlines": _lines(service)}
    told = dict(json)
    for medium in media.available()[1:]:
        name = medium.TYPES[0]
        for type_ in medium.TYPES:
            told.update(content(_schema(name), {"example": rows.get(name)}, type_))
    return told


def response_body(service: Service) -> dict[str, Any]:
    """The predictions, in the type that the header Accept asks for."""
    also = "predict_proba" in service.methods
    json = content(predictions_schema(also), listed_example(service))
    types = [medium.TYPES[0] for medium in media.available()[1:]]
    return {**json, **{type_: {"schema": _schema(type_)} for type_ in types}}


def _schema(type_: str) -> dict[str, Any]:
    return {"type": "string"} if type_ in TEXTS else {}


def _csv(service: Service) -> str | None:
    row = openapi_schemas.example_by_name(service)
    if row is None:
        return None
    file = io.StringIO()
    csv.writer(file).writerows([list(row), [_cell(value) for value in row.values()]])
    return file.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else results.label(value)


def _lines(service: Service) -> str | None:
    row = openapi_schemas.example_row(service)
    return None if row is None else results.dump(row).decode() + "\n"
