"""JSON Schemas and examples of rows, columns and values."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ..data import dates
from ..manifest import Field
from ..service import Service
from . import operations

MAX_ITEMS = 200
"""Values in the schema of a row. Longer rows have only a length."""
MAX_PROPERTIES = 5000
"""Names in the schema of a row. GET /signature lists those of larger models."""


def row_schemas(service: Service) -> dict[str, Any]:
    """Return the components `Rows`, `Row`, `RowInOrder`, and `RowByName` if inputs are known."""
    inputs = service.manifest.inputs
    values = field_schemas(service)
    rows = {"RowInOrder": _row_in_order(service, values) if inputs else _row_of_unknown_inputs()}
    if inputs:
        rows["RowByName"] = _row_by_name(service, values)
    forms: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{name}"} for name in rows]
    if inputs and _takes_positions(service):
        forms.append(_row_by_position(service))
    if service.tensors.shapes:
        forms += _rows_of_tensors(service)
    if len(inputs) < 2:
        forms.append(_without_examples(values[0]) if inputs else value_schema("any", True))
    return {**rows, "Row": {"anyOf": forms}, "Rows": _rows_schema(service)}


def _rows_of_tensors(service: Service) -> list[dict[str, Any]]:
    """Return the schemas of a row of nested lists: the only tensor, a list or an object of all."""
    by_name = _tensors(service)
    forms = [operations.object_schema(by_name), operations.tuple_schema([*by_name.values()])]
    only = {"description": "The values of the tensor as nested lists."}
    return [{**each, **only} for each in by_name.values() if len(by_name) == 1] + forms


def _tensors(service: Service) -> dict[str, Any]:
    """Return name -> schema of the value in a row."""
    inputs = service.manifest.inputs
    value = any_value(service) if inputs else value_schema("any", True)
    sizes = service.tensors.sizes(len(inputs))
    return {name: _nested(value, shape) for name, shape in sizes.items()}


def _nested(value: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    for size in reversed(shape):
        sizes = {"minItems": size, "maxItems": size} if size > 0 else {"minItems": 1}
        value = {"type": "array", "items": value, **sizes}
    return value


def _rows_schema(service: Service) -> dict[str, Any]:
    width = len(service.manifest.inputs)
    max_rows = service.decoder(width or 1).max_rows
    return {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Row"},
        "minItems": 1,
        "maxItems": max_rows,
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
        text = f"GET /signature lists the names of the {len(values)} inputs."
        return {"type": "object", "additionalProperties": any_value(service), "description": text}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip((field.name for field in inputs), values)),
        "additionalProperties": service.extras is not None,
    }
    required = [field.name for field in inputs if not field.nullable]
    if required:
        return {**schema, "required": required}
    if service.extras is None:
        return schema
    # A row cannot consist of extra inputs alone.
    only_extra = {"propertyNames": {"not": {"enum": list(schema["properties"])}}}
    return {**schema, "not": {**only_extra, "minProperties": 1}}


def _takes_positions(service: Service) -> bool:
    """Return whether names that are not inputs are taken for positions."""
    facts = service.manifest
    return not facts.named and facts.layout != "dicts" and len(facts.inputs) <= MAX_PROPERTIES


def _row_by_position(service: Service) -> dict[str, Any]:
    """Return the schema of a row whose names are taken for positions.

    A schema cannot require that all rows have the same names in the same order.
    """
    known = [field.name for field in service.manifest.inputs]
    return {
        "type": "object",
        "additionalProperties": any_value(service),
        "propertyNames": {"not": {"enum": known}},
        "minProperties": len(known),
        "maxProperties": len(known),
        "description": "The values in the order of the inputs, which have no names.",
    }


def any_value(service: Service) -> dict[str, Any]:
    """Return the schema of a value of any input."""
    kinds = sorted({(field.type, field.nullable) for field in service.manifest.inputs})
    values = [value_schema(*each) for each in kinds]
    return values[0] if len(values) == 1 else {"anyOf": values}


def _row_of_unknown_inputs() -> dict[str, Any]:
    text = "As many values as in training. The model file does not contain their number."
    values = {"type": "array", "items": value_schema("any", True), "minItems": 1}
    return {**values, "description": text}


def _without_examples(value: dict[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in value.items() if key != "examples"}


ColumnSchema = Callable[[Dict[str, Any]], Dict[str, Any]]
MAX_COLUMNS = 200
"""Names in the schema of columns. The schema of a row by name lists those of larger models."""


def column_schemas(service: Service) -> dict[str, Any]:
    """Return the components `Columns`, and `ColumnsOfLists`, where each value may be in a list.

    All columns have one length. Inputs without names accept any names, in the order of the
    signature.
    """
    schemas = {
        "Columns": _columns_schema(service, _column),
        "ColumnsOfLists": _columns_schema(service, _column_of_lists),
    }
    if not service.tensors.shapes:
        return schemas
    lists = {name: _column(value) for name, value in _tensors(service).items()}
    tensors = operations.object_schema(lists)
    return {name: {"anyOf": [each, tensors]} for name, each in schemas.items()}


def _columns_schema(service: Service, values: ColumnSchema) -> dict[str, Any]:
    inputs = service.manifest.inputs
    known = [field.name for field in inputs]
    if not inputs:
        return _any_columns(values(value_schema("any", True)))
    required = service.decoder(len(inputs)).table_columns
    if len(inputs) > MAX_COLUMNS:
        size = {"minProperties": max(1, len(required)), "maxProperties": len(inputs)}
        return {**_any_columns(values(any_value(service))), **size}
    kinds = [values(value_schema(field.type, field.nullable)) for field in inputs]
    by_name: dict[str, Any] = {
        "type": "object",
        "properties": dict(zip(known, kinds)),
        "required": required,
        "additionalProperties": False if service.extras is None else {"type": "array"},
        "minProperties": 1,
    }
    if service.manifest.named:
        return by_name
    size = {"minProperties": len(known), "maxProperties": len(known)}
    others = {**size, "propertyNames": {"not": {"enum": known}}}
    return {"anyOf": [by_name, {**_any_columns(values(any_value(service))), **others}]}


def column_names(service: Service) -> dict[str, Any]:
    """Return the schema of a list of column names in the order of the signature.

    The service also accepts the names of a named model in another order, with values to match.
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
    """Return the model's example as columns, or None."""
    row = example_by_name(service)
    return None if row is None else {name: [value] for name, value in row.items()}


def _any_columns(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "minProperties": 1}


def _column(kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": kind, "minItems": 1}


def _column_of_lists(kind: dict[str, Any]) -> dict[str, Any]:
    in_list = {"type": "array", "items": kind, "minItems": 1, "maxItems": 1}
    return {"anyOf": [{"type": "array", "items": each} for each in (kind, in_list)]}


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
    """Return the schema of each input, in order."""
    inputs = service.manifest.model["signature"]["inputs"]
    closed = inputs_with_closed_categories(service)
    return [_field_schema(field, field["name"] in closed) for field in inputs]


def value_schema(type_: str, nullable: bool) -> dict[str, Any]:
    types = TYPES[type_] + (["null"] if nullable else [])
    return {"type": types[0] if len(types) == 1 else types, **BOUNDS.get(type_, {})}


def _field_schema(field: Mapping[str, Any], is_closed: bool) -> dict[str, Any]:
    schema = value_schema(field["type"], field["nullable"])
    known = [value for value in field["categories"] or () if value is not None]
    examples = [] if field["example"] is None else [field["example"]]
    if known and is_closed:
        schema["enum"] = known + ([None] if field["nullable"] else [])
    elif known:
        examples += [value for value in known[:MAX_EXAMPLES] if value not in examples]
        schema["description"] = "The examples were in the training. Other values are accepted, too."
    else:
        schema.update(_training_range(field))
    return {**schema, "examples": examples} if examples else schema


def _training_range(field: Mapping[str, Any]) -> dict[str, str]:
    """Return a description of the values in training, which bound nothing."""
    ends = (("from", field.get("minimum")), ("to", field.get("maximum")))
    parts = [f"{word} {end}" for word, end in ends if end is not None]
    return {"description": f"Plausible {' '.join(parts)}."} if parts else {}


UNKNOWN_CATEGORY = "a value that was not in the training"
MAX_TRIED_INPUTS = 50
"""Inputs for which the model is called to try an unknown category."""
MAX_TRIED_CATEGORIES = 1000


def inputs_with_closed_categories(service: Service) -> set[str]:
    """Return the names of the inputs whose unknown categories the model rejects, as tried here."""
    fields = service.manifest.inputs
    tried = [index for index, field in enumerate(fields) if _can_be_tried(field)]
    if not service.ready or service.manifest.example is None or len(tried) > MAX_TRIED_INPUTS:
        return set()
    return {fields[index].name for index in tried if _rejects_unknown_category(service, index)}


def _can_be_tried(field: Field) -> bool:
    return field.type != "boolean" and 0 < len(field.categories or ()) <= MAX_TRIED_CATEGORIES


def _rejects_unknown_category(service: Service, index: int) -> bool:
    row = list(service.manifest.example or ())
    row[index] = _unknown_category(service.manifest.inputs[index])
    try:
        service.runner.call(service.manifest.method, service.decode_rows([row]))
    except ValueError:  # which encoders raise
        return True
    except Exception:
        return False
    return False


def _unknown_category(field: Field) -> Any:
    """Return a value of the field's type that is not one of its categories."""
    numbers = [value for value in field.categories or () if type(value) in (int, float)]
    return max(numbers) + 1 if numbers else UNKNOWN_CATEGORY


MAX_EXAMPLE_ITEMS = 5000
MAX_EXAMPLE_PROPERTIES = 200


def example_row(service: Service) -> list[Any] | None:
    """Return the model's example in the order of the signature.

    It is None if the model has none, fails on it, or the row is too long to be read.
    """
    is_short = len(service.manifest.inputs) <= MAX_EXAMPLE_ITEMS
    return service.manifest.example if service.ready and is_short else None


def example_by_name(service: Service) -> dict[str, Any] | None:
    """Return the model's example by name, or None."""
    values = example_row(service)
    if values is None or len(values) > MAX_EXAMPLE_PROPERTIES:
        return None
    return dict(zip((field.name for field in service.manifest.inputs), values))
