"""The answers to requests that get none: one response a status, all of the schema `Problem`."""

from __future__ import annotations

from typing import Any, Iterable

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
ROWS = (415, 422, 504)
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
