"""What the operations of all dialects are made of."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from . import errors

JSON = "application/json"


def schema(name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(
    schema: Mapping[str, Any], examples: Mapping[str, Any] | None = None, type_: str = JSON
) -> dict[str, Any]:
    """A body of one media type. `examples`: name -> value, None where there is none."""
    known = {
        name: {"value": value} for name, value in (examples or {}).items() if value is not None
    }
    return {type_: {"schema": schema, **({"examples": known} if known else {})}}


def get(
    description: str, bodies: Mapping[str, Any] | None = None, refusals: Iterable[int] = ()
) -> dict[str, Any]:
    """An operation that takes nothing and answers 200 with one of `bodies`."""
    answer = {"description": description, **({"content": bodies} if bodies else {})}
    return {"responses": {"200": answer, **errors.references(refusals)}}


def post(
    taken: Mapping[str, Any],
    description: str,
    given: Mapping[str, Any],
    parameters: Sequence[Mapping[str, Any]] = (),
    refusals: Iterable[int] = errors.ROWS,
) -> dict[str, Any]:
    """An operation that takes one of the bodies `taken` and answers 200 with one of `given`."""
    more = {"parameters": list(parameters)} if parameters else {}
    body = {"required": True, "content": taken}
    return {**more, "requestBody": body, **get(description, given, refusals)}
