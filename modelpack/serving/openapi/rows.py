"""The JSON Schema of rows, as lists in the order of the signature and as objects by name."""

from __future__ import annotations

from typing import Any

from ..service import Service
from . import fields, operations

MOST_IN_ORDER = 200
"""Inputs beyond these are not told one by one in a row's list, which has their number instead."""
MOST_BY_NAME = 5000
"""Inputs beyond these are not named in the document: GET /signature has them."""


def schemas(service: Service) -> dict[str, Any]:
    """The components `Rows`, `Row`, `RowInOrder`, and `RowByName` where the inputs are known."""
    inputs = service.manifest.inputs
    values = fields.schemas(service)
    told = {"RowInOrder": _in_order(service, values) if inputs else _unknown()}
    if inputs:
        told["RowByName"] = _by_name(service, values)
    forms: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{name}"} for name in told]
    if inputs and _takes_positions(service):
        forms.append(_by_position(service))
    if len(inputs) < 2:
        forms.append(_without_examples(values[0]) if inputs else fields.kind("any", True))
    return {**told, "Row": {"anyOf": forms}, "Rows": _rows(service)}


def _rows(service: Service) -> dict[str, Any]:
    width = len(service.manifest.inputs)
    most = service.decoder(width or 1).most_rows
    return {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Row"},
        "minItems": 1,
        "maxItems": most,
    }


def _in_order(service: Service, values: list[dict[str, Any]]) -> dict[str, Any]:
    if len(values) > MOST_IN_ORDER:
        size = {"minItems": len(values), "maxItems": len(values)}
        return {"type": "array", "items": any_of(service), **size}
    names = [field.name for field in service.manifest.inputs]
    return operations.row([{"title": name, **value} for name, value in zip(names, values)])


def _by_name(service: Service, values: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = service.manifest.inputs
    if len(values) > MOST_BY_NAME:
        told = f"The {len(values)} names of the inputs are those of GET /signature."
        return {"type": "object", "additionalProperties": any_of(service), "description": told}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip((field.name for field in inputs), values)),
        "additionalProperties": service.extras is not None,
    }
    required = [field.name for field in inputs if not field.nullable]
    if required:
        return {**schema, "required": required}
    # Names that are ignored do not make a row by themselves.
    strange = {"propertyNames": {"not": {"enum": list(schema["properties"])}}}
    return (
        {**schema, "not": {**strange, "minProperties": 1}} if service.extras is not None else schema
    )


def _takes_positions(service: Service) -> bool:
    """Whether names that are not those of inputs stand for positions."""
    facts = service.manifest
    return not facts.named and facts.layout != "dicts" and len(facts.inputs) <= MOST_BY_NAME


def _by_position(service: Service) -> dict[str, Any]:
    """All rows of a request have the same names in one order, which a schema cannot say."""
    known = [field.name for field in service.manifest.inputs]
    return {
        "type": "object",
        "additionalProperties": any_of(service),
        "propertyNames": {"not": {"enum": known}},
        "minProperties": len(known),
        "maxProperties": len(known),
        "description": "The values in the order of the inputs, which have no names of their own.",
    }


def any_of(service: Service) -> dict[str, Any]:
    """What is true of the values of all inputs."""
    kinds = sorted({(field.type, field.nullable) for field in service.manifest.inputs})
    told = [fields.kind(*each) for each in kinds]
    return told[0] if len(told) == 1 else {"anyOf": told}


def _unknown() -> dict[str, Any]:
    told = "As many values as the model was trained on: its file does not tell how many."
    values = {"type": "array", "items": fields.kind("any", True), "minItems": 1}
    return {**values, "description": told}


def _without_examples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != "examples"}
