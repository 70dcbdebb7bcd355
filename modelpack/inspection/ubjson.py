"""UBJSON as XGBoost writes it, read as a whole: dicts, lists, numbers and text.

Format: UBJSON draft 12, as in `facts/ubjson.py`, which looks for single keys in what may be cut.
Lengths are L and 8 bytes. An array of numbers of one type is `[$`, the type, `#`, its length and
the numbers; it is read as an `array.array`.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any

from .arrays import clean
from .nodes import Malformed, require

DEPTH = 32
_SCALARS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_STRUCTS = {mark: struct.Struct(code) for mark, code in _SCALARS.items()}
_CONSTANTS: dict[bytes, Any] = {b"Z": None, b"T": True, b"F": False}


def loads(data: bytes) -> Any:
    """The value that `data` holds.

    Raises:
        Malformed: it is cut, tells of more than it holds, or is nested deeper than DEPTH.
    """
    reader = _Reader(data)
    value = reader.value(0)
    require(reader.position == len(data), "bytes follow the end of the UBJSON", "trailing-data")
    return value


def value_at(data: bytes, position: int) -> Any:
    """The value that begins there.

    Raises:
        Malformed: as of `loads`.
    """
    reader = _Reader(data)
    reader.position = position
    return reader.value(0)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        require(depth <= DEPTH, f"the UBJSON is nested over {DEPTH} levels deep", "limit")
        mark = self._take(1)
        if mark in _STRUCTS:
            return self._scalar(mark)
        if mark in _CONSTANTS:
            return _CONSTANTS[mark]
        if mark == b"S":
            return self._text()
        if mark == b"{":
            return self._object(depth)
        require(mark == b"[", f"the UBJSON has {mark!a} where a value belongs")
        return self._array(depth)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._peek() != b"}":
            key = self._text()
            require(key not in found, f"the key {key[:40]!a} stands twice in the UBJSON")
            found[key] = self.value(depth + 1)
        self.position += 1
        return found

    def _array(self, depth: int) -> Any:
        if self._peek() == b"$":
            return self._numbers()
        if self._peek() == b"#":
            self.position += 1
            return [self.value(depth + 1) for _ in range(self._length(1))]
        values = []
        while self._peek() != b"]":
            values.append(self.value(depth + 1))
        self.position += 1
        return values

    def _numbers(self) -> array[Any]:
        self.position += 1
        kind = _STRUCTS.get(self._take(1))
        if kind is None or self._take(1) != b"#":
            raise Malformed("malformed", "an array of the UBJSON has no type or no length")
        numbers = array(kind.format[1])
        numbers.frombytes(self._take(kind.size * self._length(kind.size)))
        if sys.byteorder == "little":
            numbers.byteswap()
        return numbers

    def _length(self, size: int) -> int:
        """What counts things of at least `size` bytes each."""
        require(self._take(1) == b"L", "a length of the UBJSON is no 64-bit number")
        count = int(self._scalar(b"L"))
        rest = len(self.data) - self.position
        require(0 <= count * size <= rest, "the UBJSON tells of more than it holds", "truncated")
        return count

    def _text(self) -> str:
        raw = self._take(self._length(1))
        try:
            return clean(raw.decode())
        except UnicodeDecodeError:
            raise Malformed("malformed", "a text of the UBJSON is not in UTF-8") from None

    def _scalar(self, mark: bytes) -> Any:
        kind = _STRUCTS[mark]
        return kind.unpack(self._take(kind.size))[0]

    def _peek(self) -> bytes:
        return self.data[self.position : self.position + 1]

    def _take(self, count: int) -> bytes:
        piece = self.data[self.position : self.position + count]
        require(len(piece) == count, "the UBJSON ends too early", "truncated")
        self.position += count
        return piece
