"""One input of a model, while what the steps know of it is gathered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelpack.spec import Field, FieldType, Scalar

MOST_CATEGORIES = 1_000
"""Of an encoder with more, the categories are no help to anyone."""


@dataclass
class Column:
    """One input while its facts are gathered. The first to tell of a fact is right: later steps
    see what earlier ones have made of the values.
    """

    name: str
    type: FieldType | None = None
    categories: tuple[Scalar, ...] | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    example: Scalar = None
    changed: bool = False
    """A step has made other numbers of its values: those that later steps tell of are not its."""

    def number(
        self, *, example: float, low: float | None = None, high: float | None = None
    ) -> None:
        is_open = self.type in (None, "number") and self.minimum is None and not self.changed
        if is_open and math.isfinite(example):
            self.type = "number"
            self.example = rounded(example) if self.example is None else self.example
            self.minimum = rounded(low) if low is not None and math.isfinite(low) else None
            self.maximum = rounded(high) if high is not None and math.isfinite(high) else None

    def category(self, values: Sequence[Scalar]) -> None:
        """`values` are all that it may have; a missing one among them."""
        kept = tuple(v for v in values if v is not None and not is_nan(v))
        self.nullable |= len(kept) < len(values)
        if not kept or self.type not in (None, "string"):
            return
        self.type = scalar_type(kept)
        self.categories = kept if len(kept) <= MOST_CATEGORIES else None
        if self.example not in kept:
            self.example = kept[0]

    def field(self, default: FieldType) -> Field:
        kind = self.type or default
        blanks: dict[str, Scalar] = {"string": "", "boolean": False, "integer": 0}
        example, blank = self.example, blanks.get(kind, 0.0)
        if example is None and not (kind == "any" and self.nullable):
            example = blank
        return Field(self.name, kind, (), self.categories, self.nullable, self.minimum,
                     self.maximum, example)  # fmt: skip


Columns = Sequence[Column]


def rounded(value: float) -> float:
    """Four digits are enough for an example, and can be read."""
    return float(f"{value:.4g}")


def is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and math.isnan(value)


def scalar_type(values: Sequence[Scalar]) -> FieldType:
    """The type that all the values have."""
    if all(type(v) is bool for v in values):
        return "boolean"
    if all(type(v) is int for v in values):
        return "integer"
    if all(isinstance(v, int | float) for v in values):
        return "number"
    return "string" if all(isinstance(v, str) for v in values) else "any"
