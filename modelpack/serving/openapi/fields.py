"""The JSON Schema of one value of an input."""

from __future__ import annotations

from typing import Any, Mapping

from ..data import dates
from ..service import Service
from .closed import inputs_with_closed_categories

TYPES = {
    "number": ["number", "boolean"],
    "integer": ["integer", "boolean"],
    "string": ["string"],
    "boolean": ["boolean", "integer"],
    "datetime": ["string", "integer"],
    "any": ["number", "string", "boolean"],
}
BOUNDS: dict[str, dict[str, Any]] = {
    "number": {"format": "double"},
    "integer": {"format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"minimum": 0, "maximum": 1},
    "datetime": {
        "pattern": f"^{dates.TEXT.pattern}$",
        "minimum": -(2**63 // dates.MILLISECOND),
        "maximum": 2**63 // dates.MILLISECOND,
    },
}
MOST_EXAMPLES = 100


def schemas(service: Service) -> list[dict[str, Any]]:
    """One an input, in their order."""
    inputs = service.manifest.model["signature"]["inputs"]
    shut = inputs_with_closed_categories(service)
    return [_schema(field, field["name"] in shut) for field in inputs]


def kind(type_: str, nullable: bool) -> dict[str, Any]:
    """Of any value of this type."""
    types = TYPES[type_] + (["null"] if nullable else [])
    return {"type": types[0] if len(types) == 1 else types, **BOUNDS.get(type_, {})}


def _schema(field: Mapping[str, Any], shut: bool) -> dict[str, Any]:
    schema = kind(field["type"], field["nullable"])
    known = [value for value in field["categories"] or () if value is not None]
    examples = [] if field["example"] is None else [field["example"]]
    if known and shut:
        schema["enum"] = known + ([None] if field["nullable"] else [])
    elif known:
        examples += [value for value in known[:MOST_EXAMPLES] if value not in examples]
        schema["description"] = "The examples were in the training; other values are taken too."
    else:
        schema.update(_plausible(field))
    return {**schema, "examples": examples} if examples else schema


def _plausible(field: Mapping[str, Any]) -> dict[str, str]:
    """What training saw is told, and bounds nothing."""
    ends = (("from", field.get("minimum")), ("to", field.get("maximum")))
    told = [f"{word} {end}" for word, end in ends if end is not None]
    return {"description": f"Plausible {' '.join(told)}."} if told else {}
