"""JSON Schemas and examples of rows, columns and values."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ..data import dates
from ..manifest import Field
from ..service import Service
from . import operations

MAX_ITEMS = 200
"""Inputs beyond these are not told one by one in a row's list, which has their number instead."""
MAX_PROPERTIES = 5000
"""Inputs beyond these are not named in the document: GET /signature has them."""


def row_schemas(service: Service) -> dict[str, Any]:
    """The components `Rows`, `Row`, `RowInOrder`, and `RowByName` where the inputs are known."""
    inputs = service.manifest.inputs
    values = field_schemas(service)
    told = {"RowInOrder": _row_in_order(service, values) if inputs else _row_of_unknown_inputs()}
    if inputs:
        told["RowByName"] = _row_by_name(service, values)
    forms: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{name}"} for name in told]
    if inputs and _takes_positions(service):
        forms.append(_row_by_position(service))
    if len(inputs) < 2:
        forms.append(_without_examples(values[0]) if inputs else value_schema("any", True))
    return {**told, "Row": {"anyOf": forms}, "Rows": _rows_schema(service)}


def _rows_schema(service: Service) -> dict[str, Any]:
    width = len(service.manifest.inputs)
    most = service.decoder(width or 1).most_rows
    return {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Row"},
        "minItems": 1,
        "maxItems": most,
    }


def _row_in_order(service: Service, values: list[dict[str, Any]]) -> dict[str, Any]:
    if len(values) > MAX_ITEMS:
        size = {"minItems": len(values), "maxItems": len(values)}
        return {"type": "array", "items": any_value(service), **size}
    names = [field.name for field in service.manifest.inputs]
    return operations.tuple_schema([{"title": name, **value} for name, value in zip(names, values)])


def _row_by_name(service: Service, values: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = service.manifest.inputs
    if len(values) > MAX_PROPERTIES:
        told = f"The {len(values)} names of the inputs are those of GET /signature."
        return {"type": "object", "additionalProperties": any_value(service), "description": told}
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
    return not facts.named and facts.layout != "dicts" and len(facts.inputs) <= MAX_PROPERTIES


def _row_by_position(service: Service) -> dict[str, Any]:
    """All rows of a request have the same names in one order, which a schema cannot say."""
    known = [field.name for field in service.manifest.inputs]
    return {
        "type": "object",
        "additionalProperties": any_value(service),
        "propertyNames": {"not": {"enum": known}},
        "minProperties": len(known),
        "maxProperties": len(known),
        "description": "The values in the order of the inputs, which have no names of their own.",
    }


def any_value(service: Service) -> dict[str, Any]:
    """What is true of the values of all inputs."""
    kinds = sorted({(field.type, field.nullable) for field in service.manifest.inputs})
    told = [value_schema(*each) for each in kinds]
    return told[0] if len(told) == 1 else {"anyOf": told}


def _row_of_unknown_inputs() -> dict[str, Any]:
    told = "As many values as the model was trained on: its file does not tell how many."
    values = {"type": "array", "items": value_schema("any", True), "minItems": 1}
    return {**values, "description": told}


def _without_examples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != "examples"}


ColumnSchema = Callable[[Dict[str, Any]], Dict[str, Any]]
MAX_COLUMNS = 200
"""Inputs beyond these are not named again: the row by name has them."""


def column_schemas(service: Service) -> dict[str, Any]:
    """The components `Columns`, and `ColumnsOfLists`, where each value may stand in a list of its
    own. All lists are of one length. Inputs that have no names of their own take any, in the order
    of the signature.
    """
    return {
        "Columns": _columns_schema(service, _column),
        "ColumnsOfLists": _columns_schema(service, _column_of_lists),
    }


def _columns_schema(service: Service, values: ColumnSchema) -> dict[str, Any]:
    inputs = service.manifest.inputs
    known = [field.name for field in inputs]
    if not inputs:
        return _any_columns(values(value_schema("any", True)))
    if len(inputs) > MAX_COLUMNS:
        fewest = max(1, sum(not field.nullable for field in inputs))
        size = {"minProperties": fewest, "maxProperties": len(inputs)}
        return {**_any_columns(values(any_value(service))), **size}
    kinds = [values(value_schema(field.type, field.nullable)) for field in inputs]
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
    return {"anyOf": [by_name, {**_any_columns(values(any_value(service))), **others}]}


def column_names(service: Service) -> dict[str, Any]:
    """Of a list of the names of columns, in the order of the signature. Names of the author's own
    are taken in any order, as long as the values are in the same.
    """
    known = [field.name for field in service.manifest.inputs]
    in_order = operations.tuple_schema([{"const": name} for name in known])
    text = {"type": ["string", "integer"]}
    if not known or len(known) > MAX_COLUMNS:
        return {"type": "array", "items": text}
    if service.manifest.named:
        return in_order
    other = {**text, "not": {"enum": known}}
    size = {"minItems": len(known), "maxItems": len(known)}
    return {"anyOf": [in_order, {"type": "array", "items": other, **size}]}


def columns_example(service: Service) -> dict[str, Any] | None:
    row = example_by_name(service)
    return None if row is None else {name: [value] for name, value in row.items()}


def _any_columns(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "minProperties": 1}


def _column(kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": kind, "minItems": 1}


def _column_of_lists(kind: dict[str, Any]) -> dict[str, Any]:
    alone = {"type": "array", "items": kind, "minItems": 1, "maxItems": 1}
    return {"anyOf": [{"type": "array", "items": each} for each in (kind, alone)]}


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
MAX_EXAMPLES = 100


def field_schemas(service: Service) -> list[dict[str, Any]]:
    """One an input, in their order."""
    inputs = service.manifest.model["signature"]["inputs"]
    shut = inputs_with_closed_categories(service)
    return [_field_schema(field, field["name"] in shut) for field in inputs]


def value_schema(type_: str, nullable: bool) -> dict[str, Any]:
    """Of any value of this type."""
    types = TYPES[type_] + (["null"] if nullable else [])
    return {"type": types[0] if len(types) == 1 else types, **BOUNDS.get(type_, {})}


def _field_schema(field: Mapping[str, Any], shut: bool) -> dict[str, Any]:
    schema = value_schema(field["type"], field["nullable"])
    known = [value for value in field["categories"] or () if value is not None]
    examples = [] if field["example"] is None else [field["example"]]
    if known and shut:
        schema["enum"] = known + ([None] if field["nullable"] else [])
    elif known:
        examples += [value for value in known[:MAX_EXAMPLES] if value not in examples]
        schema["description"] = "The examples were in the training; other values are taken too."
    else:
        schema.update(_training_range(field))
    return {**schema, "examples": examples} if examples else schema


def _training_range(field: Mapping[str, Any]) -> dict[str, str]:
    """What training saw is told, and bounds nothing."""
    ends = (("from", field.get("minimum")), ("to", field.get("maximum")))
    told = [f"{word} {end}" for word, end in ends if end is not None]
    return {"description": f"Plausible {' '.join(told)}."} if told else {}


UNKNOWN_CATEGORY = "a value that was not in the training"
MAX_TRIED_INPUTS = 50
"""The model is called once for each."""
MAX_TRIED_CATEGORIES = 1000


def inputs_with_closed_categories(service: Service) -> set[str]:
    """The names of the inputs of which the model refuses an unknown category. Inputs that it could
    not be asked about are not among them.
    """
    fields = service.manifest.inputs
    asked = [index for index, field in enumerate(fields) if _can_be_tried(field)]
    if not service.ready or service.manifest.example is None or len(asked) > MAX_TRIED_INPUTS:
        return set()
    return {fields[index].name for index in asked if _rejects_unknown_category(service, index)}


def _can_be_tried(field: Field) -> bool:
    return field.type != "boolean" and 0 < len(field.categories or ()) <= MAX_TRIED_CATEGORIES


def _rejects_unknown_category(service: Service, index: int) -> bool:
    row = list(service.manifest.example or ())
    row[index] = _unknown_category(service.manifest.inputs[index])
    try:
        service.runner.call(service.manifest.method, service.decode_rows([row]))
    except ValueError:  # as an encoder refuses
        return True
    except Exception:
        return False
    return False


def _unknown_category(field: Field) -> Any:
    """A value of the field's type that is none of its categories."""
    numbers = [value for value in field.categories or () if type(value) in (int, float)]
    return max(numbers) + 1 if numbers else UNKNOWN_CATEGORY


MAX_EXAMPLE_ITEMS = 5000
MAX_EXAMPLE_PROPERTIES = 200


def example_row(service: Service) -> list[Any] | None:
    """In the order of the signature; None where no example is known that the model answers, or it
    is too long to be read.
    """
    short = len(service.manifest.inputs) <= MAX_EXAMPLE_ITEMS
    return service.manifest.example if service.ready and short else None


def example_by_name(service: Service) -> dict[str, Any] | None:
    values = example_row(service)
    if values is None or len(values) > MAX_EXAMPLE_PROPERTIES:
        return None
    return dict(zip((field.name for field in service.manifest.inputs), values))
