"""Structured arrays: which fields the records have, and the values of some of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..dtypes import Dtype
from .objects import Stored, require

Layout = dict[str, set[str]]
"""Field -> the dtypes that it may have, as numpy writes them without byte order; in order."""

_CODES = {"i4": "i", "i8": "q", "u1": "B", "u4": "I", "f8": "d"}


def expect(records: Stored, *layouts: Layout) -> None:
    """Require a list of records of one of the layouts, in which no field covers another.

    Raises:
        Broken: it is something else.
    """
    name, fields = records.name, records.dtype.fields
    require(len(records.shape) == 1, f"{name} are no list")
    names = [field for field, _, _ in fields]
    wanted = next((found for found in layouts if list(found) == names), {})
    fits = all(f"{kind.kind}{kind.itemsize}" in wanted.get(field, ()) for field, _, kind in fields)
    require(bool(wanted) and fits, f"{name} have other fields than they have")
    ends = [0, *(offset + kind.itemsize for _, offset, kind in fields)]
    apart = all(end <= offset for end, (_, offset, _) in zip(ends, fields, strict=False))
    require(apart, f"fields of {name} lie on each other")


class Columns:
    """Some integer fields of records, in the order of their offsets, one byte order for all."""

    def __init__(self, dtype: Dtype, *names: str) -> None:
        self.fields = {name: (offset, kind) for name, offset, kind in dtype.fields if name in names}
        text, end = "", 0
        for offset, kind in self.fields.values():
            text += f"{offset - end}x{_CODES[f'{kind.kind}{kind.itemsize}']}"
            end = offset + kind.itemsize
        orders = {kind.big_endian for _, kind in self.fields.values() if kind.itemsize > 1}
        require(len(orders) < 2, "fields differ in their byte order")
        self._struct = struct.Struct(
            f"{'>' if True in orders else '<'}{text}{dtype.itemsize - end}x"
        )

    def rows(self, records: bytes) -> Iterator[tuple[int, ...]]:
        """The fields of each record."""
        return self._struct.iter_unpack(records)


def words(dtype: Dtype, *names: str) -> list[int] | None:
    """Where fields of 8 bytes, little endian, begin if a record is seen as words of 4 bytes; None
    if one is not such a field, or begins within a word.
    """
    fields = [(offset, kind) for name, offset, kind in dtype.fields if name in names]
    fine = all(k.itemsize == 8 and not k.big_endian and not offset % 4 for offset, k in fields)
    return [offset // 4 for offset, _ in fields] if fine and not dtype.itemsize % 4 else None
