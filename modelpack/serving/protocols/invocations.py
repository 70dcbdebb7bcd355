"""MLflow and SageMaker: /invocations.

Sources: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Errors are
problems, as everywhere in this service, and not of the shape that MLflow gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable

from flask import Blueprint, Request, Response

from .. import inference, media
from ..data import results, tables, validation
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..data.rows import Decoder
from ..media import negotiation
from ..openapi import operations, predictions, schemas
from ..problems import Problem
from ..service import Service
from .predict import parameters, switch


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("invocations", __name__)

    def ask(asked: Request) -> inference.BodyParser:
        medium, accepted = negotiation.writer(asked)
        # SageMaker puts lines of answers beside lines of rows: there must be as many.
        write = negotiation.write((medium, {"header": "absent", **accepted}))
        told = Params(service.manifest.method, switch(asked, "probabilities"))
        read = _reader(service, asked, told)

        def question(body: bytes) -> inference.InferenceRequest:
            ignored = service.extras
            rows, params = read(body, ignored)
            methods = service.methods_for(params.probabilities, params.predict_method)
            return inference.build_request(service, rows, write, methods, ignored)

        return question

    @blueprint.post("/invocations")
    def invocations() -> Response:
        """Predictions as MLflow and SageMaker ask for them."""
        return inference.handle_request(service, ask)

    inference.register_route(blueprint, service, "/invocations", ask)

    @blueprint.get("/ping")
    @blueprint.get("/health")
    def ping() -> Response:
        """200 once the model has answered its own example."""
        service.require_ready()
        return Response(results.dump({"status": "ready"}), content_type="application/json")

    @blueprint.get("/version")
    def version() -> Response:
        """The version of modelpack that has made this service, as text."""
        return Response(service.manifest.modelpack, content_type="text/plain; charset=utf-8")

    return blueprint


@dataclass(frozen=True)
class Params:
    """What a client may set beside its rows. `predict_method`: one of `Service.methods`, whose
    answers are the predictions. `probabilities`: as ?probabilities=true.
    """

    predict_method: str
    probabilities: bool


def _reader(
    service: Service, request: Request, params: Params
) -> Callable[[bytes, Extras], tuple[Rows, Params]]:
    """What reads the rows of a body, and what it sets."""
    medium, parameters = negotiation.reader(request)
    if medium is not media.MEDIA[0]:
        return lambda body, ignored: (medium.read(service, body, parameters, ignored), params)
    if "format" in parameters:
        detail = (
            "The parameter format in Content-Type is of MLflow before 2.0. Send "
            '{"dataframe_split": ...} or {"dataframe_records": ...} without it.'
        )
        raise Problem(415, detail)

    def read(body: bytes, ignored: Extras) -> tuple[Rows, Params]:
        found = [params]

        def pick(document: Any) -> list[Any]:
            found.append(_with(params, service, document))
            return rows(service, document, ignored)

        return service.read(body, pick, ignored), found[-1]

    return read


def _with(params: Params, service: Service, document: Any) -> Params:
    given = document.get(PARAMS) if isinstance(document, dict) else None
    if given is None:
        return params
    takes = {"predict_method": service.methods, "probabilities": (True, False)}
    if not isinstance(given, dict):
        raise Problem(
            422, f"Expected an object as {PARAMS}, got {validation.describe_value(given)}."
        )
    for name, value in given.items():
        if name not in takes:
            known = " and ".join(takes)
            raise Problem(422, f"{PARAMS} takes {known}, not {validation.describe_value(name)}.")
        if not isinstance(value, (str, bool)) or value not in takes[name]:
            known = ", ".join(validation.describe_value(each) for each in takes[name])
            raise Problem(422, f"{name} is one of {known}; got {validation.describe_value(value)}.")
    return replace(params, **given)


def describe(service: Service) -> dict[str, Any]:
    ready = operations.get("It is.", operations.content(operations.status("ready")))
    version = operations.content({"type": "string"}, type_="text/plain")
    taken, given = (
        predictions.request_body(service, _documents(service)),
        predictions.response_body(service),
    )
    given.update(operations.content(_answers(), predictions.listed_example(service)))
    invocations = operations.post(taken, "The predictions.", given, [406], parameters(service))
    return {
        "/invocations": {"post": invocations},
        "/ping": {"get": ready},
        "/health": {"get": {**ready, "operationId": "invocations_health"}},
        "/version": {"get": operations.get("The version.", version)},
    }


def _documents(service: Service) -> dict[str, Any]:
    """Each of the forms by itself."""
    told = _forms(service)
    params = {PARAMS: {"anyOf": [_params(service), {"type": "null"}]}}
    shapes = [operations.record({name: form}, params, False) for name, form in told.items()]
    row, named, listed = (
        schemas.example_row(service),
        schemas.example_by_name(service),
        schemas.columns_example(service),
    )
    shown = {
        "dataframe_split": named and {"columns": list(named), "data": [list(named.values())]},
        "dataframe_records": named and [named],
        "instances": row and [row],
        "inputs": listed,
    }
    values = {name: {name: value} for name, value in shown.items() if value and name in told}
    return operations.content({"anyOf": [*shapes, operations.schema("Rows")]}, values)


def _forms(service: Service) -> dict[str, Any]:
    rows, named = operations.schema("Rows"), operations.schema("RowByName")
    inputs = [rows, operations.schema("Columns")]
    told = {"dataframe_split": _split(service), "instances": rows}
    if service.manifest.inputs:
        told["dataframe_records"] = {"type": "array", "items": named, "minItems": 1}
        inputs.append(named)
    return {**told, "inputs": {"anyOf": inputs}}


def _split(service: Service) -> dict[str, Any]:
    row = operations.schema("RowInOrder")
    data = {"data": {"type": "array", "items": row, "minItems": 1}}
    names = {"anyOf": [schemas.column_names(service), {"type": "null"}]}
    return operations.record(data, {"columns": names, "index": {}}, False)


def _params(service: Service) -> dict[str, Any]:
    switch = {"type": "boolean"} if "predict_proba" in service.methods else {"const": False}
    methods = {"enum": list(service.methods)}
    return operations.record({}, {"predict_method": methods, "probabilities": switch}, False)


def _answers() -> dict[str, Any]:
    """Of any predict_method."""
    several = {"type": "array", "items": {}}
    kinds = [operations.schema("Prediction"), {"type": ["number", "null"]}, several]
    told = {"predictions": {**several, "items": {"anyOf": kinds}}}
    return operations.record(told, {"probabilities": several})


# Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-
# specification
SPLIT = {"columns", "index", "data"}
PARAMS = "params"


def rows(service: Service, document: Any, ignored: Extras = None) -> list[Any]:
    """The rows of a document, as lists or by name. A bare list of rows is taken too: it is what
    SageMaker's own clients send. `ignored`: as in `Service.table`.

    Raises:
        Problem: 422 it has none of the forms, or more than one, or members besides.
    """
    if isinstance(document, list):
        return document
    members = set(document) - {PARAMS} if isinstance(document, dict) else set()
    if len(members) != 1 or not members <= FORMS.keys():
        forms = ", ".join(FORMS)
        raise Problem(422, f"Expected an object with exactly one of {forms}, and {PARAMS}.")
    (form,) = members
    return FORMS[form](service, document[form], ignored)


def _rows_from_split(service: Service, table: Any, ignored: Extras) -> list[Any]:
    """{"columns": [...], "data": [[...], ...]}; "index" tells nothing."""
    if not isinstance(table, dict) or "data" not in table or not set(table) <= SPLIT:
        raise Problem(422, 'Expected "dataframe_split" with "columns", "data" and perhaps "index".')
    data = table["data"]
    if not isinstance(data, list) or not all(type(row) is list for row in data):
        raise Problem(422, 'Expected a list of rows, each a list, as the "data".')
    if table.get("columns") is None or not data:
        return data
    names = _names(table["columns"], len(data[0]))
    return _by_name(service.decoder(len(names)), names, data, ignored)


def _records(service: Service, records: Any, ignored: Extras) -> list[Any]:  # noqa: ARG001
    """[{name: value}, ...]; the names are numbers where pandas has none."""
    if not isinstance(records, list) or not all(type(row) is dict for row in records):
        raise Problem(422, 'Expected a list of objects as "dataframe_records".')
    numbers = [str(number) for number in range(len(records[0]))] if records else []
    if service.manifest.named or not numbers or any(row.keys() != set(numbers) for row in records):
        return records
    return [[row[number] for number in numbers] for row in records]


def _instances(service: Service, instances: Any, ignored: Extras) -> list[Any]:  # noqa: ARG001
    if not isinstance(instances, list):
        raise Problem(422, 'Expected a list of rows as "instances".')
    return instances


def _inputs(service: Service, inputs: Any, ignored: Extras) -> list[Any]:
    """A list of rows, or columns by name; or of one row its values by name."""
    if isinstance(inputs, list):
        return inputs
    if not isinstance(inputs, dict):
        raise Problem(422, 'Expected a list of rows, or columns by name, as "inputs".')
    lists = [value for value in inputs.values() if type(value) is list]
    if not lists:
        return [inputs]
    if len(lists) < len(inputs) or len(set(map(len, lists))) > 1:
        raise Problem(422, 'Expected columns of equal length as "inputs".')
    names = list(inputs)
    rows = list(map(list, zip(*lists)))
    return _by_name(service.decoder(len(names)), names, rows, ignored)


FORMS: dict[str, Callable[[Service, Any, Extras], list[Any]]] = {
    "dataframe_split": _rows_from_split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}


def _names(columns: Any, width: int) -> list[str]:
    """They are numbers where pandas has none. `width`: of the first row."""
    if isinstance(columns, list) and len(columns) != width:
        raise validation.of_width(0, len(columns), width)
    if not isinstance(columns, list) or not all(type(name) in (str, int) for name in columns):
        raise Problem(422, 'Expected a list of names as the "columns".')
    return list(map(str, columns))


def _by_name(decoder: Decoder, names: list[str], data: list[Any], ignored: Extras) -> list[Any]:
    kept = tables.inputs(decoder, names, len(names), ignored)
    for index, row in enumerate(data):
        if len(row) != len(names):
            raise validation.of_width(index, len(names), len(row))
    if kept is not None:
        names, data = tables.taken(names, kept), [tables.taken(row, kept) for row in data]
    return data if decoder.in_order(names) else [dict(zip(names, row)) for row in data]
