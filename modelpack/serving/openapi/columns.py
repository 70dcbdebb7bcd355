"""The JSON Schema of rows that come as columns: {name: values}."""

from __future__ import annotations

from typing import Any

from ..service import Service
from . import examples, fields
from .rows import any_of

MOST_BY_NAME = 200
"""Inputs beyond these are not named again: the row by name has them."""


def schema(service: Service) -> dict[str, Any]:
    """Lists of values, all of one length, by the names of the inputs; each value may stand in a
    list of its own. Inputs that have no names of their own take any, in the order of the signature.
    """
    inputs = service.manifest.inputs
    known = [field.name for field in inputs]
    if not inputs:
        return _any(_values(fields.kind("any", True)))
    if len(inputs) > MOST_BY_NAME:
        return _any(_values(any_of(service)))
    kinds = [_values(fields.kind(field.type, field.nullable)) for field in inputs]
    by_name: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip(known, kinds)),
        "required": [field.name for field in inputs if not field.nullable],
        "additionalProperties": False,
        "minProperties": 1,
    }
    if service.manifest.named:
        return by_name
    size = {"minProperties": len(known), "maxProperties": len(known)}
    others = {**size, "propertyNames": {"not": {"enum": known}}}
    return {"anyOf": [by_name, {**_any(_values(any_of(service))), **others}]}


def example(service: Service) -> dict[str, Any] | None:
    row = examples.by_name(service)
    return None if row is None else {name: [value] for name, value in row.items()}


def _any(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "minProperties": 1}


def _values(kind: dict[str, Any]) -> dict[str, Any]:
    alone = {"type": "array", "items": kind, "minItems": 1, "maxItems": 1}
    flat, nested = ({"type": "array", "items": each, "minItems": 1} for each in (kind, alone))
    return {"anyOf": [flat, nested]}
