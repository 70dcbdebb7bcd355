"""POST /invocations of MLflow and SageMaker.

See https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Errors are
problem documents, as in the rest of the service, and differ from those of MLflow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Callable, List, Mapping, NamedTuple

from flask import Blueprint, Request, Response, request

from .. import inference, media
from ..data import results, tables, validation
from ..data.columns import Rows, flat_column
from ..data.extra_inputs import Extras
from ..data.rows import Decoder
from ..media import negotiation
from ..observability import requests
from ..openapi import operations, predictions, schemas
from ..problems import Problem
from ..service import Service
from ..settings import Limits
from .predict import query_flag, query_parameters


def routes(service: Service) -> Blueprint:
    """Create POST /invocations, and the GET routes of MLflow and SageMaker."""
    blueprint = Blueprint("invocations", __name__)
    blueprint.after_request(_return_attributes)
    parse = request_parser(service, INVOCATIONS)

    @blueprint.post("/invocations")
    def invocations() -> Response:
        """Predict rows in the formats of MLflow and SageMaker."""
        return inference.handle_request(service, parse)

    inference.register_route(blueprint, service, "/invocations", parse)

    @blueprint.get("/ping")
    @blueprint.get("/health")
    def ping() -> Response:
        """Return 200 if the model predicts its own example."""
        service.require_ready()
        return Response(results.dump({"status": "ready"}), content_type="application/json")

    @blueprint.get("/version")
    def version() -> Response:
        """Return the version of modelpack that packaged the model, as text."""
        return Response(service.manifest.modelpack, content_type="text/plain; charset=utf-8")

    @blueprint.get("/execution-parameters")
    def execution_parameters() -> Response:
        """Return the settings of SageMaker's batch transform that suit the limits."""
        document = _execution_parameters(service.limits)
        return Response(results.dump(document), content_type="application/json")

    return blueprint


ATTRIBUTES = re.compile(r"[\x20-\x7e]{1,1024}")


def _return_attributes(response: Response) -> Response:
    """Return the custom attributes of a request to SageMaker, which forwards no other header."""
    attributes = request.environ.get(requests.CUSTOM_ATTRIBUTES, "")
    if ATTRIBUTES.fullmatch(attributes):
        response.headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return response


MAX_PAYLOADS_MB = 100
"""Of all concurrent transforms together, a limit of SageMaker."""


def _execution_parameters(limits: Limits) -> dict[str, Any]:
    size = max(1, min(limits.body_bytes // 2**20, MAX_PAYLOADS_MB))
    transforms = max(1, min(limits.queue, MAX_PAYLOADS_MB // size))
    return {
        "MaxConcurrentTransforms": transforms,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": size,
    }


def request_parser(service: Service, dialect: Dialect) -> inference.RequestParser:
    """Return the parser of requests in a dialect."""

    def parse(request: Request) -> inference.BodyParser:
        medium, accepted = negotiation.select_writer(request)
        # SageMaker joins lines of predictions to lines of rows, so there is no header by default.
        write = negotiation.response_writer((medium, {"header": "absent", **accepted}))
        params = Params(service.manifest.method, query_flag(request, "probabilities"))
        read = _reader(service, request, params, dialect)

        def parse_body(body: bytes) -> inference.InferenceRequest:
            ignored = service.extras
            rows, params = read(body, ignored)
            methods = service.methods_for(params.probabilities, params.predict_method)
            return inference.build_request(service, rows, write, methods, ignored)

        return parse_body

    return parse


@dataclass(frozen=True)
class Params:
    """The parameters of a request. `predict_method` is one of `Service.methods`."""

    predict_method: str
    probabilities: bool


def _reader(
    service: Service, request: Request, params: Params, dialect: Dialect
) -> Callable[[bytes, Extras], tuple[Rows, Params]]:
    """Return a function that parses the rows and the parameters of a body."""
    medium, parameters = negotiation.select_reader(request)
    if medium is not media.MEDIA[0]:
        return lambda body, ignored: (medium.read(service, body, parameters, ignored), params)
    if "format" in parameters:
        detail = (
            "The parameter format of Content-Type is not supported, as in MLflow since 2.0. "
            'Send {"dataframe_split": ...} or {"dataframe_records": ...} without it.'
        )
        raise Problem(415, detail)

    def read(body: bytes, ignored: Extras) -> tuple[Rows, Params]:
        parsed = [params]

        def pick(document: Any) -> list[Any]:
            parsed.append(_with_document(params, service, document, dialect.params))
            return _rows(service, document, ignored, dialect)

        return service.read(body, pick, ignored), parsed[-1]

    return read


def _with_document(params: Params, service: Service, document: Any, member: str) -> Params:
    """Return parameters with those that a member of the document sets."""
    values = document.get(member) if isinstance(document, dict) else None
    if values is None:
        return params
    allowed = {"predict_method": service.methods, "probabilities": (True, False)}
    if not isinstance(values, dict):
        got = validation.describe_value(values)
        raise Problem(422, f"Expected an object as {member}, got {got}.")
    for name, value in values.items():
        if name not in allowed:
            known = " and ".join(allowed)
            got = validation.describe_value(name)
            raise Problem(422, f"Expected {known} in {member}, got {got}.")
        if not isinstance(value, (str, bool)) or value not in allowed[name]:
            known = ", ".join(results.dump(each).decode() for each in allowed[name])
            got = validation.describe_value(value)
            raise Problem(422, f"Expected one of {known} as {name}, got {got}.")
    return replace(params, **values)


def describe(service: Service) -> dict[str, Any]:
    ready = operations.get("Ready.", operations.content(operations.status_schema("ready")))
    version = operations.content({"type": "string"}, type_="text/plain")
    request = predictions.request_body(service, _documents(service))
    response = predictions.response_body(service)
    response.update(operations.content(response_schema(), predictions.listed_example(service)))
    parameters = query_parameters(service)
    invocations = operations.post(request, "The predictions.", response, [406], parameters)
    numbers = {"type": "integer", "minimum": 1}
    transforms = {"MaxConcurrentTransforms": numbers, "MaxPayloadInMB": numbers}
    settings = operations.object_schema({**transforms, "BatchStrategy": {"const": "MULTI_RECORD"}})
    batch = operations.get("The settings.", operations.content(settings))
    return {
        "/invocations": {"post": invocations},
        "/execution-parameters": {"get": batch},
        "/ping": {"get": ready},
        "/health": {"get": {**ready, "operationId": "invocations_health"}},
        "/version": {"get": operations.get("The version.", version)},
    }


def _documents(service: Service) -> dict[str, Any]:
    """Return the content of a JSON request, with rows in one of the forms."""
    forms = _forms(service)
    params = {PARAMS: {"anyOf": [params_schema(service), {"type": "null"}]}}
    shapes = [operations.object_schema({name: form}, params, False) for name, form in forms.items()]
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
    values = {name: {name: value} for name, value in shown.items() if value and name in forms}
    return operations.content({"anyOf": [*shapes, operations.schema("Rows")]}, values)


def _forms(service: Service) -> dict[str, Any]:
    rows, named = operations.schema("Rows"), operations.schema("RowByName")
    inputs = [rows, operations.schema("ColumnsOfLists")]
    forms = {"dataframe_split": _split(service), "instances": rows}
    if service.manifest.inputs:
        forms["dataframe_records"] = {"type": "array", "items": named, "minItems": 1}
        inputs.append(named)
    return {**forms, "inputs": {"anyOf": inputs}}


def _split(service: Service) -> dict[str, Any]:
    row = operations.schema("RowInOrder")
    data = {"data": {"type": "array", "items": row, "minItems": 1}}
    names = {"anyOf": [schemas.column_names(service), {"type": "null"}]}
    return operations.object_schema(data, {"columns": names, "index": {}}, False)


def params_schema(service: Service) -> dict[str, Any]:
    flag = {"type": "boolean"} if "predict_proba" in service.methods else {"const": False}
    methods = {"enum": list(service.methods)}
    return operations.object_schema({}, {"predict_method": methods, "probabilities": flag}, False)


def response_schema() -> dict[str, Any]:
    """Return the schema of the response of any predict_method."""
    values = {"type": "array", "items": {}}
    kinds = [operations.schema("Prediction"), {"type": ["number", "null"]}, values]
    predictions = {"predictions": {**values, "items": {"anyOf": kinds}}}
    return operations.object_schema(predictions, {"probabilities": values})


SPLIT = {"columns", "index", "data"}
PARAMS = "params"


def _rows(service: Service, document: Any, ignored: Extras, dialect: Dialect) -> list[Any]:
    """Return the rows of a document, which is an object with one of the forms of the dialect.

    A list of rows is accepted, too, as SageMaker's own clients send it.

    Raises:
        Problem: 422, the document has no form, several forms or unknown members.
    """
    if isinstance(document, list):
        return document
    members = set(document) - {dialect.params} if isinstance(document, dict) else set()
    if len(members) != 1 or not members <= dialect.forms.keys():
        forms = ", ".join(dialect.forms)
        one = "exactly one of " if len(dialect.forms) > 1 else ""
        raise Problem(422, f"Expected an object with {one}{forms}, and {dialect.params}.")
    (form,) = members
    return dialect.forms[form](service, document[form], ignored)


def _rows_from_split(service: Service, table: Any, ignored: Extras) -> list[Any]:
    """Return the rows of {"columns": [...], "data": [[...], ...]}. "index" is not used."""
    if not isinstance(table, dict) or "data" not in table or not set(table) <= SPLIT:
        raise Problem(
            422, 'Expected "columns", "data" and optionally "index" in "dataframe_split".'
        )
    data = table["data"]
    if not isinstance(data, list) or not all(type(row) is list for row in data):
        raise Problem(422, 'Expected a list of lists as "data".')
    if table.get("columns") is None or not data:
        return data
    names = _names(table["columns"], len(data[0]))
    return _by_name(service.decoder(len(names)), names, data, ignored)


def _records(service: Service, records: Any, ignored: Extras) -> list[Any]:  # noqa: ARG001
    """Return the rows of [{name: value}, ...]. pandas writes numbers for missing names."""
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
    """Return the rows of a list of rows, of columns by name, or of one row by name."""
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
    if service.tensors.are_names(names):
        return [dict(zip(names, row)) for row in zip(*lists)]
    rows = list(map(list, zip(*map(flat_column, lists))))
    return _by_name(service.decoder(len(names)), names, rows, ignored)


Form = Callable[[Service, Any, Extras], List[Any]]
"""Returns the rows of the value of a member."""


class Dialect(NamedTuple):
    """The members of a JSON document: the parameters, and the forms of rows."""

    params: str
    forms: Mapping[str, Form]


INVOCATIONS = Dialect(
    PARAMS,
    {
        "dataframe_split": _rows_from_split,
        "dataframe_records": _records,
        "instances": _instances,
        "inputs": _inputs,
    },
)
VERTEX = Dialect("parameters", {"instances": _instances})


def _names(columns: Any, width: int) -> list[str]:
    """Return the names of `width` columns. pandas writes numbers for missing names."""
    if isinstance(columns, list) and len(columns) != width:
        raise validation.width_problem(0, len(columns), width)
    if not isinstance(columns, list) or not all(type(name) in (str, int) for name in columns):
        raise Problem(422, 'Expected a list of names as "columns".')
    return list(map(str, columns))


def _by_name(decoder: Decoder, names: list[str], data: list[Any], ignored: Extras) -> list[Any]:
    kept = tables.input_positions(decoder, names, len(names), ignored)
    for index, row in enumerate(data):
        if len(row) != len(names):
            raise validation.width_problem(index, len(names), len(row))
    if kept is not None:
        names, data = tables.select(names, kept), [tables.select(row, kept) for row in data]
    return data if decoder.in_order(names) else [dict(zip(names, row)) for row in data]
