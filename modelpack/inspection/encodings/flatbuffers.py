"""FlatBuffers tables.

Format: a table begins with the distance (int32) back to its vtable. The vtable contains its own
size, the size of the table, and the offset of each field in the table (uint16; 0: the field has its
default). A field of a string, vector or table contains the distance to it (uint32). Vectors begin
with their length (uint32). Numbers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..text import clean

_MAX_VALUES = 100_000


@dataclass(frozen=True)
class Table:
    """A table at `position` of `data`. Methods raise `struct.error` if data is cut or invalid."""

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
        """Return all bytes of a vector of bytes."""
        start = self._vector(field)[0]
        count = self._read("<I", start - 4) if start else 0
        if count > len(self.data) - start:
            raise struct.error("beyond the end")
        return self.data[start : start + count]

    def text(self, field: int) -> str:
        start, size = self._vector(field)
        return clean(self.data[start : start + size].decode("utf-8", "replace"))

    def size(self, field: int) -> int:
        """Return the length of a string in bytes, or of a vector in values."""
        return self._vector(field)[1]

    def floats(self, field: int) -> tuple[float, ...]:
        start, count = self._vector(field)
        return struct.unpack_from(f"<{count}f", self.data, start)

    def values(self, field: int, code: str) -> tuple[Any, ...]:
        """Return all numbers of a vector. `code` is a format character of `struct`."""
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
        """Return the position of the first value, and the number of values."""
        at = self._at(field)
        if not at:
            return 0, 0
        start = at + self._read("<I", at)
        return start + 4, min(self._read("<I", start), _MAX_VALUES)

    def _at(self, field: int) -> int:
        """Return the position of a field; 0 if it has its default."""
        vtable = self.position - self._read("<i", self.position)
        if 4 + 2 * field >= self._read("<H", vtable):
            return 0
        distance = self._read("<H", vtable + 4 + 2 * field)
        return self.position + distance if distance else 0

    def _read(self, code: str, position: int) -> int:
        if position < 0:
            raise struct.error("before the beginning")
        return int(struct.unpack_from(code, self.data, position)[0])
