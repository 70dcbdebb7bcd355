"""Rows made from a signature, where nobody gives any: plausible, and the same each time."""

from __future__ import annotations

from modelpack.spec import Field, Scalar, Signature

from .rows import Row

ROWS = 8
_STEP = 0.6180339887498949  # the golden ratio's, whose multiples spread evenly


def rows(signature: Signature) -> tuple[Row, ...]:
    """The example, then rows of values between each input's bounds and of all its categories; none
    where the file does not tell enough for one.
    """
    inputs = signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return ()
    made = [
        tuple(_value(field, number, place) for place, field in enumerate(inputs))
        for number in range(ROWS)
    ]
    return tuple(dict.fromkeys(made))


def _value(field: Field, number: int, place: int) -> Scalar:
    if number == 0:
        return field.example
    if field.nullable and number == ROWS - 1:
        return None
    if field.categories:
        return field.categories[(number + place) % len(field.categories)]
    if field.type == "boolean":
        return (number + place) % 2 == 0
    if field.type in {"number", "integer"} and isinstance(field.example, int | float):
        return _number(field, float(field.example), (number * _STEP + place * _STEP**2) % 1)
    return field.example


def _number(field: Field, example: float, share: float) -> float | int:
    low = field.minimum if field.minimum is not None else example / 2
    high = field.maximum if field.maximum is not None else example * 1.5
    value = float(f"{low + (high - low) * share:.6g}")
    return round(value) if field.type == "integer" else value
