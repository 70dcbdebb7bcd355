"""The OpenAPI paths."""

from __future__ import annotations

from typing import Any, Sequence

from ...openapi import operations, schemas
from ...openapi.operations import content, object_schema
from ...service import Service
from . import datatypes, inputs, outputs
from .requests import BINARY, LENGTH_HEADER, MAX_DIMENSIONS, MAX_ID_LENGTH, product

TEXT = {"type": "string"}
DATATYPES = [*datatypes.DTYPES, datatypes.BYTES]
LENGTH = {
    "description": "The size of the JSON in a body that binary data follow.",
    "schema": {"type": "integer", "minimum": 0},
}


def _list(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": value}


TENSOR = object_schema(
    {"name": TEXT, "datatype": {"enum": DATATYPES}, "shape": _list({"type": "integer"})}
)
"""The metadata of a tensor. -1 in a shape is any size."""
MAX_TENSORS = 100


def describe(service: Service) -> dict[str, Any]:
    """Return the OpenAPI paths."""
    return {**_server(service), **_model(service)}


def _server(service: Service) -> dict[str, Any]:
    about = object_schema({"name": TEXT, "version": TEXT, "extensions": _list(TEXT)})
    models = object_schema({"models": operations.list_of_one(service.name)})
    state = dict.fromkeys(("name", "version", "state", "reason"), TEXT)
    index = operations.get("The models.", content(_list(object_schema(state))), [415])
    request = {"properties": {"ready": {"description": "true: list only a model that is ready."}}}
    return {
        "/v2": {"get": operations.get("The server.", content(about))},
        "/v2/health/live": {"get": operations.get("Alive.", content(_flag("live")))},
        "/v2/health/ready": {"get": operations.get("Ready.", content(_flag("ready")))},
        "/v2/models": {"get": operations.get("The models.", content(models))},
        "/v2/repository/index": {"post": {**index, "requestBody": {"content": content(request)}}},
    }


def _flag(name: str) -> dict[str, Any]:
    return object_schema({name: {"const": True}})


def _model(service: Service) -> dict[str, Any]:
    """Return each path twice: without and with the version."""
    name = operations.path_constant("name", service.name)
    version = operations.path_constant("version", service.version)
    current = _paths(service, "/v2/models/{name}", [name])
    versioned = _paths(service, "/v2/models/{name}/versions/{version}", [name, version])
    for item in versioned.values():
        for operation in item.values():
            operation["operationId"] += "_of_version"
    return {**current, **versioned}


def _paths(service: Service, path: str, parameters: Sequence[Any]) -> dict[str, Any]:
    tensors = _list(TENSOR)
    versions = operations.list_of_one(service.version)
    name = {"const": service.name}
    about = {"name": name, "versions": versions, "platform": TEXT}
    metadata = content(object_schema({**about, "inputs": tensors, "outputs": tensors}))
    ready = content(object_schema({"name": name, "ready": {"const": True}}))
    get = operations.get
    return {
        path: {
            "get": {"operationId": "v2_metadata", **get("The model.", metadata, [404], parameters)}
        },
        f"{path}/ready": {
            "get": {"operationId": "v2_model_ready", **get("Ready.", ready, [404], parameters)}
        },
        f"{path}/infer": {"post": {"operationId": "v2_infer", **_infer(service, parameters)}},
    }


def _infer(service: Service, parameters: Sequence[Any]) -> dict[str, Any]:
    length = {"name": LENGTH_HEADER, "in": "header", **LENGTH}
    request = {**content(_request(), _examples(service)), **content({}, type_=BINARY)}
    response = {**content(_response(service)), **content({}, type_=BINARY)}
    operation = operations.post(request, "Tensors.", response, [404], [*parameters, length])
    operation["responses"]["200"]["headers"][LENGTH_HEADER] = LENGTH
    return operation


def _tensor(*required: str) -> dict[str, Any]:
    sizes = {**_list({"type": "integer", "minimum": 0}), "maxItems": MAX_DIMENSIONS}
    known = {
        "name": TEXT,
        "datatype": {"enum": DATATYPES},
        "shape": sizes,
        "data": {**_list({}), "description": "Flat, or nested like the shape."},
        "parameters": {"type": ["object", "null"]},
    }
    optional = {name: each for name, each in known.items() if name not in required}
    return object_schema({name: known[name] for name in required}, optional)


def _request() -> dict[str, Any]:
    tensors = {**_list(_tensor("name", "datatype", "shape")), "minItems": 1}
    output = object_schema({"name": TEXT}, {"parameters": {"type": ["object", "null"]}})
    optional = {
        "id": {"type": ["string", "null"], "maxLength": MAX_ID_LENGTH},
        "parameters": {"type": ["object", "null"]},
        "outputs": {"anyOf": [_list(output), {"type": "null"}]},
    }
    return object_schema({"inputs": tensors}, optional)


def _response(service: Service) -> dict[str, Any]:
    tensors = {**_list(_tensor("name", "datatype", "shape")), "minItems": 1}
    about = {"model_name": {"const": service.name}, "model_version": {"const": service.version}}
    return object_schema({**about, "outputs": tensors}, {"id": TEXT})


def _examples(service: Service) -> dict[str, Any]:
    """Return the model's example as tensors, without and with outputs."""
    row, metadata = schemas.example_row(service), inputs.metadata(service)
    if row is None or len(metadata) > MAX_TENSORS or any(value is None for value in row):
        return {}
    tensors, start = [], 0
    for tensor in metadata:
        shape = [1, *(size if size > 0 else len(row) for size in tensor["shape"][1:])]
        end = start + product(tuple(shape))
        tensors.append({**tensor, "shape": shape, "data": row[start:end]})
        start = end
    names = [each["name"] for each in outputs.Outputs(service).metadata()]
    every = {"inputs": tensors, "outputs": [{"name": name} for name in names]}
    return {"tensors": {"inputs": tensors}, "outputs": every}
