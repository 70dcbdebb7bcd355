"""Rows made from a signature, where nobody gives any: plausible, and the same each time."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack.types import Field, Scalar, Signature

from .rows import MOST_ROWS, MOST_VALUES, Row

ROWS = 8
"""More are made for an input with more categories, so that each of them is in a row."""
_STEP = 0.6180339887498949  # the golden ratio's, whose multiples spread evenly


def rows(signature: Signature) -> tuple[Row, ...]:
    """The real rows that are known, the example, then rows of values between each input's bounds
    and of all its categories; none where the file does not tell enough for one.
    """
    inputs = signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return signature.samples
    count = _count(inputs)
    made = [
        tuple(_value(field, number, place, count) for place, field in enumerate(inputs))
        for number in range(count)
    ]
    return tuple(dict.fromkeys((*signature.samples, *made)))


def _count(inputs: Sequence[Field]) -> int:
    """The first row is the example, and the last one has no categories where they may miss."""
    categories = max(len(field.categories or ()) for field in inputs)
    return max(ROWS, min(categories + 2, MOST_ROWS, MOST_VALUES // len(inputs)))


def _value(field: Field, number: int, place: int, count: int) -> Scalar:
    if number == 0:
        return field.example
    if field.nullable and number == count - 1:
        return None
    if field.categories:
        return field.categories[_category(number + place, count - 2, len(field.categories))]
    if field.type == "boolean":
        return (number + place) % 2 == 0
    if field.type in {"number", "integer"} and isinstance(field.example, int | float):
        return _number(field, float(field.example), (number * _STEP + place * _STEP**2) % 1)
    return field.example


def _category(number: int, rows: int, categories: int) -> int:
    """One after the other; of more categories than rows, evenly spread ones with the last."""
    if categories <= rows:
        return number % categories
    return (number % rows) * (categories - 1) // (rows - 1)


def _number(field: Field, example: float, share: float) -> float | int:
    low = field.minimum if field.minimum is not None else example / 2
    high = field.maximum if field.maximum is not None else example * 1.5
    value = float(f"{low + (high - low) * share:.6g}")
    return round(value) if field.type == "integer" else value
