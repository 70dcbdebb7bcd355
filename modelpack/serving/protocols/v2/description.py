"""OpenAPI paths."""

from __future__ import annotations

from typing import Any, Sequence

from ...openapi import operations, schemas
from ...openapi.operations import content, record
from ...service import Service
from . import datatypes, inputs, outputs
from .requests import BINARY, LENGTH_HEADER, LONGEST_ID, LONGEST_SHAPE

TEXT = {"type": "string"}
DATATYPES = [*datatypes.DTYPES, datatypes.BYTES]
LENGTH = {
    "description": "The size of the JSON in a body that binary data follow.",
    "schema": {"type": "integer", "minimum": 0},
}


def _list(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": value}


TENSOR = record(
    {"name": TEXT, "datatype": {"enum": DATATYPES}, "shape": _list({"type": "integer"})}
)
"""What a model takes and gives; -1 in a shape is any size."""
MOST_TENSORS = 100


def describe(service: Service) -> dict[str, Any]:
    return {**_server(service), **_model(service)}


def _server(service: Service) -> dict[str, Any]:
    about = record({"name": TEXT, "version": TEXT, "extensions": _list(TEXT)})
    models = record({"models": operations.only(service.name)})
    state = dict.fromkeys(("name", "version", "state", "reason"), TEXT)
    index = operations.get("The models.", content(_list(record(state))), [415])
    asked = {"properties": {"ready": {"description": "true: only if it is ready."}}}
    return {
        "/v2": {"get": operations.get("The server.", content(about))},
        "/v2/health/live": {"get": operations.get("It does.", content(_flag("live")))},
        "/v2/health/ready": {"get": operations.get("It is.", content(_flag("ready")))},
        "/v2/models": {"get": operations.get("The models.", content(models))},
        "/v2/repository/index": {"post": {**index, "requestBody": {"content": content(asked)}}},
    }


def _flag(name: str) -> dict[str, Any]:
    return record({name: {"const": True}})


def _model(service: Service) -> dict[str, Any]:
    """Each path twice: with the version, and without."""
    name = operations.constant("name", service.name)
    version = operations.constant("version", service.version)
    plain = _paths(service, "/v2/models/{name}", [name])
    versioned = _paths(service, "/v2/models/{name}/versions/{version}", [name, version])
    for item in versioned.values():
        for operation in item.values():
            operation["operationId"] += "_of_version"
    return {**plain, **versioned}


def _paths(service: Service, path: str, parameters: Sequence[Any]) -> dict[str, Any]:
    tensors = _list(TENSOR)
    versions = operations.only(service.version)
    name = {"const": service.name}
    about = {"name": name, "versions": versions, "platform": TEXT}
    metadata = content(record({**about, "inputs": tensors, "outputs": tensors}))
    ready = content(record({"name": name, "ready": {"const": True}}))
    get = operations.get
    return {
        path: {"get": {"operationId": "v2_metadata", **get("It.", metadata, [404], parameters)}},
        f"{path}/ready": {
            "get": {"operationId": "v2_model_ready", **get("It is.", ready, [404], parameters)}
        },
        f"{path}/infer": {"post": {"operationId": "v2_infer", **_infer(service, parameters)}},
    }


def _infer(service: Service, parameters: Sequence[Any]) -> dict[str, Any]:
    length = {"name": LENGTH_HEADER, "in": "header", **LENGTH}
    taken = {**content(_request(), _shown(service)), **content({}, type_=BINARY)}
    given = {**content(_response(service)), **content({}, type_=BINARY)}
    operation = operations.post(taken, "Tensors.", given, [404], [*parameters, length])
    operation["responses"]["200"]["headers"][LENGTH_HEADER] = LENGTH
    return operation


def _tensor(*required: str) -> dict[str, Any]:
    sizes = {**_list({"type": "integer", "minimum": 0}), "maxItems": LONGEST_SHAPE}
    known = {
        "name": TEXT,
        "datatype": {"enum": DATATYPES},
        "shape": sizes,
        "data": {**_list({}), "description": "Flat, or nested as the shape is."},
        "parameters": {"type": ["object", "null"]},
    }
    optional = {name: each for name, each in known.items() if name not in required}
    return record({name: known[name] for name in required}, optional)


def _request() -> dict[str, Any]:
    tensors = {**_list(_tensor("name", "datatype", "shape")), "minItems": 1}
    wanted = record({"name": TEXT}, {"parameters": {"type": ["object", "null"]}})
    optional = {
        "id": {"type": ["string", "null"], "maxLength": LONGEST_ID},
        "parameters": {"type": ["object", "null"]},
        "outputs": {"anyOf": [_list(wanted), {"type": "null"}]},
    }
    return record({"inputs": tensors}, optional)


def _response(service: Service) -> dict[str, Any]:
    tensors = {**_list(_tensor("name", "datatype", "shape")), "minItems": 1}
    about = {"model_name": {"const": service.name}, "model_version": {"const": service.version}}
    return record({**about, "outputs": tensors}, {"id": TEXT})


def _shown(service: Service) -> dict[str, Any]:
    """The model's example in the tensors that its metadata tell of."""
    row, told = schemas.example_row(service), inputs.metadata(service)
    if row is None or len(told) > MOST_TENSORS or any(value is None for value in row):
        return {}
    values = [row] if len(told) == 1 else [[value] for value in row]
    tensors = [
        {**tensor, "shape": [1, len(data)], "data": data} for tensor, data in zip(told, values)
    ]
    names = [each["name"] for each in outputs.Outputs(service).metadata()]
    every = {"inputs": tensors, "outputs": [{"name": name} for name in names]}
    return {"tensors": {"inputs": tensors}, "outputs": every}
