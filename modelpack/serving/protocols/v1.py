"""KServe V1.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from functools import partial
from typing import Any, Sequence

from flask import Blueprint, Request, Response

from .. import inference
from ..data import json_body, results, validation
from ..data.columns import Rows, flat_column
from ..data.extra_inputs import Extras
from ..data.tensors import Tensors
from ..openapi import operations, predictions, schemas
from ..problems import Problem
from ..service import Service
from .v2 import routes as v2_routes
from .v2.routes import check_name

EXPECTED = 'Expected {"instances": [...]}, a list of rows, or {"inputs": {...}} by name.'
SIGNATURES = (None, "serving_default")
"""Signature names of TensorFlow Serving, where a model may have several."""


def routes(service: Service) -> Blueprint:
    """Create the routes of KServe V1 for the one model."""
    blueprint = Blueprint("v1", __name__, url_prefix="/v1")
    blueprint.after_app_request(v2_routes.add_error_member)

    def parse(request: Request) -> inference.BodyParser:
        json_body.check_json(request)
        return parse_body

    def parse_body(body: bytes) -> inference.InferenceRequest:
        ignored = service.extras
        rows = _rows(service, body, ignored)
        return inference.build_request(service, rows, _write, service.methods_for(), ignored)

    @blueprint.get("/models")
    def models() -> Response:
        """KServe V1: return the name of the model."""
        return _json({"models": [service.name]})

    @blueprint.get("/models/<name>")
    def model(name: str) -> Response:
        """KServe V1: return 200 if the model predicts its own example."""
        check_name(service, name)
        service.require_ready()
        return _json({"name": service.name, "ready": True})

    def predict(name: str, version: str | None = None) -> Response:
        """KServe V1 and TensorFlow Serving: predict rows."""
        check_name(service, name, version)
        return inference.handle_request(service, parse)

    values = {"name": service.name, "version": service.version}
    for path in ("/models/<name>:predict", "/models/<name>/versions/<version>:predict"):
        blueprint.post(path)(predict)
        inference.register_route(blueprint, service, path, parse, **values)

    @blueprint.post("/models/<name>:explain")
    def explain(name: str) -> Response:
        """KServe V1: return 404, as the model has no explainer."""
        check_name(service, name)
        raise Problem(404, "The model has no explainer. POST to :predict for predictions.")

    return blueprint


class _TablesError(Exception):
    """The document contains tables, {name: [value, ...]}, instead of rows."""

    def __init__(self, tables: list[dict[str, Any]]) -> None:
        super().__init__(len(tables))
        self.tables = tables


def _rows(service: Service, body: bytes, ignored: Extras) -> Rows:
    try:
        return service.read(body, partial(_rows_in_document, service.tensors), ignored)
    except _TablesError as error:
        columns = _concatenate(error.tables)
        return service.table(list(columns), list(columns.values()), ignored)


def _rows_in_document(tensors: Tensors, document: Any) -> list[Any]:
    """Return the rows of a document. `tensors`: those of the model.

    Raises:
        Problem: 422, it contains none.
        _TablesError: It contains tables. KServe's own server accepts them for models that take a
            frame, and TensorFlow Serving as `inputs`.
    """
    if not isinstance(document, dict) or ("instances" in document) == ("inputs" in document):
        raise Problem(422, EXPECTED)
    for name in document.keys() - {"instances", "inputs", "signature_name"}:
        raise Problem(422, f"{EXPECTED} Got the member {validation.describe_value(name)}.")
    if document.get("signature_name") not in SIGNATURES:
        raise Problem(422, 'Expected "serving_default" as signature_name.')
    rows = document.get("instances", document.get("inputs"))
    if isinstance(rows, dict) and "inputs" in document:
        if tensors.are_names(rows) and all(isinstance(each, list) for each in rows.values()):
            return [dict(zip(rows, values)) for values in zip(*rows.values())]
        raise _TablesError([rows])
    if not isinstance(rows, list):
        raise Problem(422, EXPECTED)
    if rows and all(map(_is_table, rows)) and not tensors.are_names(rows[0]):
        raise _TablesError(rows)
    return rows


def _is_table(row: Any) -> bool:
    return isinstance(row, dict) and bool(row) and all(type(v) is list for v in row.values())


def _concatenate(tables: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Concatenate tables.

    Raises:
        Problem: 422, the tables differ in names, or the columns of a table differ in length.
    """
    joined: dict[str, list[Any]] = {name: [] for name in tables[0]}
    for table in tables:
        if table.keys() != joined.keys():
            raise Problem(422, "Expected the same names in every instance.")
        for name, values in table.items():
            if not isinstance(values, list):
                raise validation.table_problem(
                    "a list of values", validation.describe_value(values), name
                )
            joined[name] += flat_column(values)
        if len(set(map(len, joined.values()))) > 1:
            raise Problem(422, "Expected the same number of values for every input.")
    return joined


def _write(prediction: results.Prediction) -> inference.InferenceResponse:
    document = {"predictions": prediction.predictions.tolist()}
    return inference.InferenceResponse(results.dump(document), inference.JSON)


def _json(document: Any) -> Response:
    return Response(results.dump(document), content_type="application/json")


def describe(service: Service) -> dict[str, Any]:
    path = "/v1/models/{name}"
    name = operations.path_constant("name", service.name)
    version = operations.path_constant("version", service.version)
    ready = operations.object_schema({"name": {"const": service.name}, "ready": {"const": True}})
    models = operations.object_schema({"models": operations.list_of_one(service.name)})
    predicted = operations.content(
        predictions.predictions_schema(), predictions.listed_example(service)
    )
    return {
        "/v1/models": {"get": operations.get("The models.", operations.content(models))},
        path: {"get": operations.get("Ready.", operations.content(ready), [404], [name])},
        f"{path}:predict": {
            "post": operations.post(
                _request_content(service), "The rows.", predicted, [404], [name]
            )
        },
        f"{path}/versions/{{version}}:predict": {
            "post": {
                "operationId": "v1_predict_of_version",
                **operations.post(
                    _request_content(service), "The rows.", predicted, [404], [name, version]
                ),
            }
        },
        f"{path}:explain": {"post": operations.without_success([404], [name])},
    }


def _request_content(service: Service) -> dict[str, Any]:
    signature = {"signature_name": {"enum": list(SIGNATURES)}}
    table = operations.schema("ColumnsOfLists")
    lists = [operations.schema("Rows"), {"type": "array", "items": table, "minItems": 1}]
    forms = [
        operations.object_schema({"instances": {"anyOf": lists}}, signature, False),
        operations.object_schema({"inputs": {"anyOf": [*lists, table]}}, signature, False),
    ]
    row, values = schemas.example_row(service), schemas.columns_example(service)
    shown = {
        "instances": None if row is None else {"instances": [row]},
        "inputs": None if values is None else {"inputs": values},
    }
    return operations.content({"anyOf": forms}, shown)
