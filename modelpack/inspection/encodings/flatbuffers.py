"""FlatBuffers tables.

Format: a table begins with the distance (int32) back to its vtable, which holds its own size, the
size of the table, and for each field its distance from the table's begin (uint16), 0 where it has
its default. Strings, vectors and tables lie at the distance (uint32) that the field holds; vectors
begin with their length (uint32). All is little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..pickle.ndarrays import clean

_MAX_VALUES = 100_000


@dataclass(frozen=True)
class Table:
    """A table at `position` of `data`. Reading raises struct.error where data is cut or wrong."""

    data: bytes
    position: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def integer(self, field: int, default: int = 0) -> int:
        at = self._at(field)
        return self._read("<i", at) if at else default

    def byte(self, field: int) -> int:
        at = self._at(field)
        return self._read("<B", at) if at else 0

    def raw(self, field: int) -> bytes:
        """All bytes of a vector of them."""
        start = self._vector(field)[0]
        count = self._read("<I", start - 4) if start else 0
        if count > len(self.data) - start:
            raise struct.error("beyond the end")
        return self.data[start : start + count]

    def text(self, field: int) -> str:
        start, size = self._vector(field)
        return clean(self.data[start : start + size].decode("utf-8", "replace"))

    def size(self, field: int) -> int:
        """The number of bytes of a text, or of values of a vector."""
        return self._vector(field)[1]

    def floats(self, field: int) -> tuple[float, ...]:
        start, count = self._vector(field)
        return struct.unpack_from(f"<{count}f", self.data, start)

    def values(self, field: int, code: str) -> tuple[Any, ...]:
        """All numbers of a vector; `code` is that of struct."""
        start = self._vector(field)[0]
        count = self._read("<I", start - 4) if start else 0
        size = struct.calcsize(code)
        if count * size > len(self.data) - start:
            raise struct.error("beyond the end")
        return struct.unpack_from(f"<{count}{code}", self.data, start)

    def table(self, field: int) -> Table | None:
        at = self._at(field)
        return Table(self.data, at + self._read("<I", at)) if at else None

    def tables(self, field: int) -> list[Table]:
        start, count = self._vector(field)
        cells = range(start, start + 4 * count, 4)
        return [Table(self.data, at + self._read("<I", at)) for at in cells]

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the values begin, and how many there are."""
        at = self._at(field)
        if not at:
            return 0, 0
        start = at + self._read("<I", at)
        return start + 4, min(self._read("<I", start), _MAX_VALUES)

    def _at(self, field: int) -> int:
        """Where the field lies; 0 if it has its default."""
        vtable = self.position - self._read("<i", self.position)
        if 4 + 2 * field >= self._read("<H", vtable):
            return 0
        distance = self._read("<H", vtable + 4 + 2 * field)
        return self.position + distance if distance else 0

    def _read(self, code: str, position: int) -> int:
        if position < 0:
            raise struct.error("before the beginning")
        return int(struct.unpack_from(code, self.data, position)[0])
