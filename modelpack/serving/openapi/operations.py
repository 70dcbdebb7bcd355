"""Building blocks of operations and error responses."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..data import extra_inputs

JSON = "application/json"
Schema = Mapping[str, Any]


def schema(name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(
    required: Schema, optional: Schema | None = None, more: bool = True
) -> dict[str, Any]:
    """An object of these properties, and `more`."""
    properties = {**required, **(optional or {})}
    told = {"type": "object", "properties": properties, "required": list(required)}
    return told if more else {**told, "additionalProperties": False}


def status_schema(word: str) -> dict[str, Any]:
    """{"status": word}"""
    return object_schema({"status": {"const": word}})


def tuple_schema(values: Sequence[Schema]) -> dict[str, Any]:
    """A list of one value of each schema. Not bounded by `"items": false`, which generators of
    clients do not know.
    """
    size = {"minItems": len(values), "maxItems": len(values)}
    return {"type": "array", "prefixItems": list(values), **size}


def list_of_one(value: str) -> dict[str, Any]:
    """A list of exactly this. Not a `const`: generators of clients know those of scalars alone."""
    return {"type": "array", "items": {"const": value}, "minItems": 1, "maxItems": 1}


def path_constant(name: str, value: str) -> dict[str, Any]:
    """A parameter of the path that takes one value."""
    return {"name": name, "in": "path", "required": True, "schema": {"enum": [value]}}


def content(
    schema: Schema, examples: Mapping[str, Any] | None = None, type_: str = JSON
) -> dict[str, Any]:
    """A body of one media type. `examples`: name -> value, None where there is none."""
    named = (examples or {}).items()
    known = {name: {"value": value} for name, value in named if value is not None}
    return {type_: {"schema": schema, **({"examples": known} if known else {})}}


def get(
    description: str,
    bodies: Schema,
    refusals: Iterable[int] = (),
    parameters: Sequence[Schema] = (),
) -> dict[str, Any]:
    """An operation that takes no body and answers 200 with one of `bodies`."""
    answer = {"description": description, "content": bodies}
    told = without_success(refusals, parameters)
    return {**told, "responses": {"200": answer, **told["responses"]}}


def post(
    taken: Schema,
    description: str,
    bodies: Schema,
    refusals: Iterable[int] = (),
    parameters: Sequence[Schema] = (),
) -> dict[str, Any]:
    """An operation that takes rows in one of the bodies `taken` and answers 200 with one of
    `bodies`.
    """
    told = get(description, bodies, [*ROWS_STATUSES, *refusals], parameters)
    told["responses"]["200"]["headers"] = {
        extra_inputs.HEADER: {"$ref": f"#/components/headers/{extra_inputs.HEADER}"}
    }
    return {**told, "requestBody": {"required": True, "content": taken}}


def without_success(refusals: Iterable[int], parameters: Sequence[Schema] = ()) -> dict[str, Any]:
    """An operation that only refuses."""
    more = {"parameters": list(parameters)} if parameters else {}
    return {**more, "responses": references(refusals)}


def conditional(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation that answers 304 where the request knows the answer by its ETag."""
    headers = {"ETag": {"schema": {"type": "string"}}}
    known = {"description": "It is that of If-None-Match.", "headers": headers}
    responses = operation["responses"]
    answer = {**responses["200"], "headers": headers}
    return {**operation, "responses": {**responses, "200": answer, "304": known}}


TYPE = "application/problem+json"
RESPONSES = {
    400: ("BadRequest", "The request is malformed."),
    401: ("Unauthorized", "The bearer token is missing, or not the right one."),
    404: ("NotFound", "There is nothing of this name."),
    406: ("NotAcceptable", "None of the media types that are accepted can be made."),
    408: ("RequestTimeout", "The request did not come in time."),
    413: ("ContentTooLarge", "The request is larger than the limits."),
    414: ("URITooLong", "The URL is longer than the limits."),
    415: ("UnsupportedMediaType", "The media type of the body is none of those that are taken."),
    417: ("ExpectationFailed", "Only 100-continue can be expected."),
    422: (
        "UnprocessableContent",
        "The rows do not fit the signature or the model: `errors` tells where.",
    ),
    431: ("HeadersTooLarge", "The header fields are larger than the limits."),
    500: (
        "InternalServerError",
        "The model failed. The log tells why under the request's id.",
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
"""Of an operation that takes rows."""

_ERROR = {
    "type": "object",
    "description": "One value that is wrong.",
    "properties": {
        "row": {"type": ["integer", "null"], "description": "Counted from 0; null: of no one row."},
        "column": {"type": ["string", "null"], "description": "Of an input; null: of no one."},
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
        "detail": {"type": "string", "description": "What was wrong, and what to send."},
        "request_id": {"type": "string", "description": "As in the header X-Request-Id."},
        "errors": {"type": "array", "items": _ERROR, "minItems": 1},
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}


def references(statuses: Iterable[int]) -> dict[str, Any]:
    """The responses of an operation."""
    return {
        str(status): {"$ref": f"#/components/responses/{RESPONSES[status][0]}"}
        for status in sorted(set(statuses))
    }


def components() -> dict[str, Any]:
    """All responses by name."""
    return {name: _response(status, told) for status, (name, told) in RESPONSES.items()}


def _response(status: int, told: str) -> dict[str, Any]:
    headers = ["X-Request-Id", *HEADERS.get(status, ())]
    return {
        "description": told,
        "headers": {each: {"$ref": f"#/components/headers/{each}"} for each in headers},
        "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
