"""JSON Schemas of predictions, and bodies by media type."""

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
"""NaN and infinity are null."""
MAX_LABELS = 200


def schemas(service: Service) -> dict[str, Any]:
    """Return the component `Prediction`, and `Probabilities` if the model has them."""
    components = {"Prediction": _prediction(service)}
    if "predict_proba" in service.methods:
        components["Probabilities"] = _probabilities(service)
    return components


def example(service: Service) -> list[Any] | None:
    """Return the prediction for the model's own example as JSON, or None if unknown."""
    output = _output(service)
    return None if output is None else _json(output.tolist())


def predictions_schema(probabilities: bool = False) -> dict[str, Any]:
    rows = {"type": "array", "items": operations.schema("Prediction"), "minItems": 1}
    by_class = {"type": "array", "items": operations.schema("Probabilities"), "minItems": 1}
    more = {"probabilities": by_class} if probabilities else {}
    return operations.object_schema({"predictions": rows}, more)


def listed_example(service: Service) -> dict[str, Any]:
    """Return the examples of a response for `operations.content`."""
    prediction = example(service)
    return {"example": None if prediction is None else {"predictions": prediction}}


def _output(service: Service) -> np.ndarray | None:
    """Return the prediction (1, ...) for the model's own example, or None."""
    result = _call_on_example(service, service.manifest.method)
    try:
        max_values = service.limits.answer_values
        return None if result is None else results.require_rows(result, 1, max_values)
    except (Problem, results.UnfitError):  # too large, or not a prediction
        return None


def _call_on_example(service: Service, method: str) -> Any:
    """Call the model on its own example, without counting a prediction.

    Return None if the example is unknown or the model fails.
    """
    row = service.manifest.example
    if not service.ready or row is None:
        return None
    try:
        return estimator.contained(service.runner.call, method, service.decode_rows([row]))
    except Exception:
        return None


def _json(values: list[Any]) -> list[Any]:
    converted: list[Any] = orjson.loads(results.dump(values))
    return converted


def _prediction(service: Service) -> dict[str, Any]:
    output = _output(service)
    if output is None:
        return {"description": "The prediction for one row."}
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
    """Return the schema of a classifier's classes, or None if it predicts other values."""
    classes = service.manifest.classes if service.manifest.method == "predict" else None
    if not classes or output.ndim != 1:
        return None
    known, predicted = _json(list(classes)), _json(output.tolist())
    if not {results.dump(each) for each in predicted} <= {results.dump(each) for each in known}:
        return None
    return {"enum": known}


def _probabilities(service: Service) -> dict[str, Any]:
    """Return the schema of the probabilities of a row: an object, or a list of them per output."""
    result = _call_on_example(service, "predict_proba")
    try:
        (row,) = rows = _json(results.probabilities(result, service.runner.classes))
    except (results.UnfitError, ValueError):  # unknown, or not one for each class of one row
        return {"description": "The probability of each class."}
    schema = (
        _probabilities_of_outputs(row) if isinstance(row, list) else _probabilities_of_classes(row)
    )
    return {**schema, "examples": rows}


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
"""Media types of text."""


def request_body(service: Service, json: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a request in all media types. `json`: the content of the protocol."""
    rows = {"text/csv": _csv(service), "application/jsonlines": _lines(service)}
    contents = dict(json)
    for medium in media.available()[1:]:
        name = medium.TYPES[0]
        for type_ in medium.TYPES:
            contents.update(content(_schema(name), {"example": rows.get(name)}, type_))
    return contents


def response_body(service: Service) -> dict[str, Any]:
    """Return the content of predictions in all media types."""
    has_probabilities = "predict_proba" in service.methods
    json = content(predictions_schema(has_probabilities), listed_example(service))
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
