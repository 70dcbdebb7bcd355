"""What the operations of all dialects are made of."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from .. import extras
from . import errors

JSON = "application/json"
Schema = Mapping[str, Any]


def schema(name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(required: Schema, optional: Schema | None = None, more: bool = True) -> dict[str, Any]:
    """An object of these properties, and `more`."""
    properties = {**required, **(optional or {})}
    told = {"type": "object", "properties": properties, "required": list(required)}
    return told if more else {**told, "additionalProperties": False}


def status(word: str) -> dict[str, Any]:
    """{"status": word}"""
    return record({"status": {"const": word}})


def row(values: Sequence[Schema]) -> dict[str, Any]:
    """A list of one value of each schema. Not bounded by `"items": false`, which generators of
    clients do not know.
    """
    size = {"minItems": len(values), "maxItems": len(values)}
    return {"type": "array", "prefixItems": list(values), **size}


def only(value: str) -> dict[str, Any]:
    """A list of exactly this. Not a `const`: generators of clients know those of scalars alone."""
    return {"type": "array", "items": {"const": value}, "minItems": 1, "maxItems": 1}


def constant(name: str, value: str) -> dict[str, Any]:
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
    told = none(refusals, parameters)
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
    told = get(description, bodies, [*errors.ROWS, *refusals], parameters)
    told["responses"]["200"]["headers"] = {
        extras.HEADER: {"$ref": f"#/components/headers/{extras.HEADER}"}
    }
    return {**told, "requestBody": {"required": True, "content": taken}}


def none(refusals: Iterable[int], parameters: Sequence[Schema] = ()) -> dict[str, Any]:
    """An operation that only refuses."""
    more = {"parameters": list(parameters)} if parameters else {}
    return {**more, "responses": errors.references(refusals)}


def conditional(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation that answers 304 where the request knows the answer by its ETag."""
    headers = {"ETag": {"schema": {"type": "string"}}}
    known = {"description": "It is that of If-None-Match.", "headers": headers}
    responses = operation["responses"]
    answer = {**responses["200"], "headers": headers}
    return {**operation, "responses": {**responses, "200": answer, "304": known}}
