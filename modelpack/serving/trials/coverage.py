"""Rows that reach each category, the limits of each dtype, missing and unknown values."""

from __future__ import annotations

from typing import Any, Iterator, List, Sequence

import numpy as np

from ..frames import numpy_dtype
from ..manifest import Field, Manifest
from .samples import UNKNOWN

CHUNK = 512
"""Rows of a group at most."""
COLUMNS = 24
"""Columns that get their limits each alone; more get them all at once."""

Row = List[Any]
WHOLE = (0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53), 2**63 - 1, -(2**63))
FLOATS = (
    *(0.0, -0.0, 5e-324, -1e-310, 2.2250738585072014e-308, 3.4028234663852886e38, 3.5e38),
    *(-3.5e38, 1e154, -1e155, 1e306, 1.7976931348623157e308, -1.7976931348623157e308),
)


def groups(manifest: Manifest) -> Iterator[list[Row]]:
    """Yield groups of rows as JSON has them, around the model's example; the important ones first.
    Rows that a model may refuse are alone in their group.
    """
    fields, example = manifest.inputs, manifest.example
    if example is None or manifest.layout == "text":
        return
    yield from _categories(fields, example)
    yield from _flags(fields, example)
    yield from _missing(fields, example)
    yield from _unknown(fields, example)
    yield from _limits(fields, example)


def _categories(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    """Every category of every column, in as many rows as the longest list has."""
    longest = max((len(field.categories or ()) for field in fields), default=0)
    rows = [
        [
            field.categories[n % len(field.categories)] if field.categories else value
            for field, value in zip(fields, example)
        ]
        for n in range(longest)
    ]
    for start in range(0, longest, CHUNK):
        yield rows[start : start + CHUNK]
    for place, field in enumerate(fields[:COLUMNS]):
        if field.categories:
            yield [
                _with(example, place, each)
                for each in {*field.categories[:1], *field.categories[-1:]}
            ]


def _flags(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    places = [place for place, field in enumerate(fields) if field.type == "boolean"]
    if places:
        yield [_with(example, place, flag) for place in places for flag in (False, True)][:CHUNK]


def _missing(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    places = [place for place, field in enumerate(fields) if field.nullable]
    if places:
        yield [_with(example, place, None) for place in places][:CHUNK]


def _unknown(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    for place, field in enumerate(fields[:COLUMNS]):
        if isinstance(example[place], str) or field.type == "string":
            yield [_with(example, place, UNKNOWN)]
        elif field.categories and field.type in ("integer", "number", "any"):
            yield [_with(example, place, 1_000_003)]


def _limits(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    """The limits of all columns at once; then the smallest and the largest of each alone."""
    found = {
        place: _limits_of(field, example[place])
        for place, field in enumerate(fields)
        if not field.categories
    }
    found = {place: limits for place, limits in found.items() if limits}
    for n in range(max(map(len, found.values()), default=0)):
        row = list(example)
        for place, limits in found.items():
            row[place] = limits[n % len(limits)]
        yield [row]
    for place, limits in list(found.items())[:COLUMNS]:
        yield [_with(example, place, min(limits))]
        yield [_with(example, place, max(limits))]


def _limits_of(field: Field, example: Any) -> tuple[Any, ...]:
    dtype = numpy_dtype(field.dtype)
    if dtype is not None and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return (0, int(bounds.min), int(bounds.max), *(n for n in WHOLE if abs(n) <= bounds.max))
    if field.type == "integer":
        return WHOLE
    is_number = isinstance(example, (int, float)) and not isinstance(example, bool)
    return FLOATS if field.type == "number" or (field.type == "any" and is_number) else ()


def _with(example: Row, place: int, value: Any) -> Row:
    return [*example[:place], value, *example[place + 1 :]]
