"""Building blocks of operations and error responses."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..data import extra_inputs

JSON = "application/json"
Schema = Mapping[str, Any]


def schema(name: str) -> dict[str, str]:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(
    required: Schema, optional: Schema | None = None, more: bool = True
) -> dict[str, Any]:
    """Return the schema of an object. `more`: it may have other properties."""
    properties = {**required, **(optional or {})}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return schema if more else {**schema, "additionalProperties": False}


def status_schema(word: str) -> dict[str, Any]:
    return object_schema({"status": {"const": word}})


def tuple_schema(values: Sequence[Schema]) -> dict[str, Any]:
    """Return the schema of a list with one value of each schema.

    It has no `"items": false`, which generators of clients do not support.
    """
    size = {"minItems": len(values), "maxItems": len(values)}
    return {"type": "array", "prefixItems": list(values), **size}


def list_of_one(value: str) -> dict[str, Any]:
    """Return the schema of `[value]`. Generators of clients support `const` only for scalars."""
    return {"type": "array", "items": {"const": value}, "minItems": 1, "maxItems": 1}


def path_constant(name: str, value: str) -> dict[str, Any]:
    """Return a path parameter with one possible value."""
    return {"name": name, "in": "path", "required": True, "schema": {"enum": [value]}}


def content(
    schema: Schema, examples: Mapping[str, Any] | None = None, type_: str = JSON
) -> dict[str, Any]:
    """Return the content of one media type. `examples`: by name, None for a missing one."""
    named = (examples or {}).items()
    known = {name: {"value": value} for name, value in named if value is not None}
    return {type_: {"schema": schema, **({"examples": known} if known else {})}}


def get(
    description: str,
    bodies: Schema,
    errors: Iterable[int] = (),
    parameters: Sequence[Schema] = (),
) -> dict[str, Any]:
    """Return an operation without a request body, whose response is one of `bodies`."""
    success = {"description": description, "content": bodies}
    operation = without_success(errors, parameters)
    return {**operation, "responses": {"200": success, **operation["responses"]}}


def post(
    request: Schema,
    description: str,
    bodies: Schema,
    errors: Iterable[int] = (),
    parameters: Sequence[Schema] = (),
) -> dict[str, Any]:
    """Return an operation with rows in one of the bodies `request`."""
    operation = get(description, bodies, [*ROWS_STATUSES, *errors], parameters)
    operation["responses"]["200"]["headers"] = {
        extra_inputs.HEADER: {"$ref": f"#/components/headers/{extra_inputs.HEADER}"}
    }
    return {**operation, "requestBody": {"required": True, "content": request}}


def without_success(errors: Iterable[int], parameters: Sequence[Schema] = ()) -> dict[str, Any]:
    """Return an operation that always fails."""
    more = {"parameters": list(parameters)} if parameters else {}
    return {**more, "responses": references(errors)}


def conditional(operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that returns 304 if the ETag matches."""
    headers = {"ETag": {"schema": {"type": "string"}}}
    not_modified = {"description": "If-None-Match has this ETag.", "headers": headers}
    responses = operation["responses"]
    success = {**responses["200"], "headers": headers}
    return {**operation, "responses": {**responses, "200": success, "304": not_modified}}


TYPE = "application/problem+json"
RESPONSES = {
    400: ("BadRequest", "The request is malformed."),
    401: ("Unauthorized", "The bearer token is missing or wrong."),
    404: ("NotFound", "The name is unknown."),
    406: ("NotAcceptable", "The service supports none of the accepted media types."),
    408: ("RequestTimeout", "The request did not come in time."),
    413: ("ContentTooLarge", "The request is larger than the limits."),
    414: ("URITooLong", "The URL is longer than the limits."),
    415: ("UnsupportedMediaType", "The media type of the body is not supported."),
    417: ("ExpectationFailed", "Only 100-continue can be expected."),
    422: (
        "UnprocessableContent",
        "The rows do not match the signature or the model. `errors` lists the wrong values.",
    ),
    431: ("HeadersTooLarge", "The header fields are larger than the limits."),
    500: (
        "InternalServerError",
        "The model failed. The log shows the cause under the request's id.",
    ),
    503: ("ServiceUnavailable", "The service is overloaded, draining or not ready."),
    504: ("GatewayTimeout", "The prediction took longer than the limits."),
}
HEADERS = {
    401: ["WWW-Authenticate"],
    415: ["Accept-Encoding", "Accept-Post"],
    503: ["Retry-After"],
}
ROWS_STATUSES = (415, 422, 504)
"""Statuses of operations with rows."""

_ERROR = {
    "type": "object",
    "description": "A wrong value.",
    "properties": {
        "row": {"type": ["integer", "null"], "description": "Counted from 0; null: several rows."},
        "column": {"type": ["string", "null"], "description": "An input; null: several inputs."},
        "expected": {"type": "string"},
        "got": {"type": "string"},
    },
    "required": ["row", "column", "expected", "got"],
}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to send."},
        "request_id": {"type": "string", "description": "As in the header X-Request-Id."},
        "errors": {"type": "array", "items": _ERROR, "minItems": 1},
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}


def references(statuses: Iterable[int]) -> dict[str, Any]:
    """Return the error responses of an operation."""
    return {
        str(status): {"$ref": f"#/components/responses/{RESPONSES[status][0]}"}
        for status in sorted(set(statuses))
    }


def components() -> dict[str, Any]:
    """Return all error responses by name."""
    return {name: _response(status, text) for status, (name, text) in RESPONSES.items()}


def _response(status: int, description: str) -> dict[str, Any]:
    headers = ["X-Request-Id", *HEADERS.get(status, ())]
    return {
        "description": description,
        "headers": {each: {"$ref": f"#/components/headers/{each}"} for each in headers},
        "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
