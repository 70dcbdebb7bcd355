"""From a table to rows as the signature has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelpack.errors import UsageError
from modelpack.spec import Field, FieldType, ModelSpec, Scalar, Signature

from .tables import Table

MOST_ROWS = 100
MOST_VALUES = 500_000
"""Of all rows together: as JSON they stay below the service's limit of 16 MiB a request."""

Row = tuple[Scalar, ...]

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


def align(table: Table, signature: Signature) -> tuple[Row, ...]:
    """The first rows, in the signature's order; columns that the model does not take are left out.

    Raises:
        UsageError: columns are missing, or a value is none that the input can have.
    """
    places = _places(table, signature)
    count = max(1, min(MOST_ROWS, MOST_VALUES // max(1, len(places))))
    fields = signature.inputs
    return tuple(
        tuple(
            _value(field, row[place] if place is not None else None, number, table.is_text)
            for field, place in zip(fields, places, strict=True)
        )
        for number, row in enumerate(table.rows[:count])
    )


def with_examples(spec: ModelSpec, table: Table) -> ModelSpec:
    """The spec with the first row as its example; of a file that tells no inputs, with inputs as
    the table has them.
    """
    signature = spec.signature
    if not signature.inputs:
        signature = replace(signature, inputs=_fields(table), named=table.columns is not None)
    first = align(Table(table.columns, table.rows[:1], table.is_text), signature)[0]
    pairs = zip(signature.inputs, first, strict=True)
    inputs = tuple(replace(f, example=value) if value is not None else f for f, value in pairs)
    return replace(spec, signature=replace(signature, inputs=inputs))


def _places(table: Table, signature: Signature) -> list[int | None]:
    """For each input the position of its value in a row; None where it may be missing and is."""
    width, names = len(table.rows[0]), [field.name for field in signature.inputs]
    if table.columns is not None and set(names) & set(table.columns):
        found = {name: index for index, name in enumerate(table.columns)}
        optional = {f.name for f in signature.inputs if signature.layout == "dicts" and f.nullable}
        missing = [name for name in names if name not in found and name not in optional]
        if not missing:
            return [found.get(name) for name in names]
        raise _misfit(f"lack {len(missing)} inputs of the model ({_listed(missing)})")
    if width == len(names) and not (signature.named and table.columns is not None):
        return list(range(width))
    if signature.named and table.columns is not None:
        raise _misfit(f"name none of the model's inputs ({_listed(names)})")
    raise _misfit(f"have {width} values, and the model takes {len(names)}")


def _fields(table: Table) -> tuple[Field, ...]:
    names = table.columns or [f"x{index}" for index in range(len(table.rows[0]))]
    columns = list(zip(*table.rows[:MOST_ROWS], strict=True))
    return tuple(
        Field(name, _type(values, table.is_text), nullable=any(map(_is_missing, values)))
        for name, values in zip(names, columns, strict=True)
    )


def _type(values: Sequence[Any], is_text: bool) -> FieldType:
    cells = [number_or_text(v) if is_text else v for v in values if not _is_missing(v)]
    kinds = {type(cell) for cell in cells}
    if kinds and kinds <= {int, float}:
        return "number"
    return {str: "string", bool: "boolean"}.get(kinds.pop(), "any") if len(kinds) == 1 else "any"  # type: ignore[return-value]


def _value(field: Field, cell: Any, row: int, is_text: bool) -> Scalar:
    value = plain(cell)
    if _is_missing(value):
        return None
    if is_text and field.type != "string":
        value = _BOOLEANS.get(str(value).lower(), value) if field.type == "boolean" else value
        value = number_or_text(value)
    if not _fits(field, value):
        raise _misfit(f"hold {ascii(value)[:60]} in row {row}, column {field.name}, which takes "
                      f"{field.type}s")  # fmt: skip
    return value if field.type != "integer" or isinstance(value, bool | str) else int(value)  # type: ignore[arg-type]


def _fits(field: Field, value: Scalar) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "number": is_number,
        "integer": is_number and float(value).is_integer(),  # type: ignore[arg-type]
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "any": True,
    }[field.type]


def plain(value: Any) -> Scalar:
    """A value of a file as JSON can hold it.

    Raises:
        UsageError: it is a date, a list, or something else of that kind.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise _misfit(f"hold a {type(value).__name__}, which is no number, string or boolean")


def number_or_text(value: Scalar) -> Scalar:
    """What a cell of a text file stands for."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _misfit(what: str) -> UsageError:
    return UsageError(
        f"The example rows {what}.",
        hint="`modelpack inspect MODEL` shows what a row of the model is.",
    )
