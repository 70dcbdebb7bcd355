"""The JSON Schema of rows that come as columns: {name: values}."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ..service import Service
from . import examples, fields, operations
from .rows import any_of

Values = Callable[[Dict[str, Any]], Dict[str, Any]]
MOST_BY_NAME = 200
"""Inputs beyond these are not named again: the row by name has them."""


def schemas(service: Service) -> dict[str, Any]:
    """The components `Columns`, and `ColumnsOfLists`, where each value may stand in a list of its
    own. All lists are of one length. Inputs that have no names of their own take any, in the order
    of the signature.
    """
    return {"Columns": _schema(service, _flat), "ColumnsOfLists": _schema(service, _nested)}


def _schema(service: Service, values: Values) -> dict[str, Any]:
    inputs = service.manifest.inputs
    known = [field.name for field in inputs]
    if not inputs:
        return _any(values(fields.kind("any", True)))
    if len(inputs) > MOST_BY_NAME:
        fewest = max(1, sum(not field.nullable for field in inputs))
        size = {"minProperties": fewest, "maxProperties": len(inputs)}
        return {**_any(values(any_of(service))), **size}
    kinds = [values(fields.kind(field.type, field.nullable)) for field in inputs]
    by_name: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip(known, kinds)),
        "required": [field.name for field in inputs if not field.nullable],
        "additionalProperties": False if service.extras is None else {"type": "array"},
        "minProperties": 1,
    }
    if service.manifest.named:
        return by_name
    size = {"minProperties": len(known), "maxProperties": len(known)}
    others = {**size, "propertyNames": {"not": {"enum": known}}}
    return {"anyOf": [by_name, {**_any(values(any_of(service))), **others}]}


def names(service: Service) -> dict[str, Any]:
    """Of a list of the names of columns, in the order of the signature. Names of the author's own
    are taken in any order, as long as the values are in the same.
    """
    known = [field.name for field in service.manifest.inputs]
    in_order = operations.row([{"const": name} for name in known])
    text = {"type": ["string", "integer"]}
    if not known or len(known) > MOST_BY_NAME:
        return {"type": "array", "items": text}
    if service.manifest.named:
        return in_order
    other = {**text, "not": {"enum": known}}
    size = {"minItems": len(known), "maxItems": len(known)}
    return {"anyOf": [in_order, {"type": "array", "items": other, **size}]}


def example(service: Service) -> dict[str, Any] | None:
    row = examples.by_name(service)
    return None if row is None else {name: [value] for name, value in row.items()}


def _any(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "minProperties": 1}


def _flat(kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": kind, "minItems": 1}


def _nested(kind: dict[str, Any]) -> dict[str, Any]:
    alone = {"type": "array", "items": kind, "minItems": 1, "maxItems": 1}
    return {"anyOf": [{"type": "array", "items": each} for each in (kind, alone)]}
