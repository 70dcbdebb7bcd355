"""UBJSON: whole documents, and single values by key.

Format: UBJSON draft 12. A key is L, its length as 8 bytes, its UTF-8; a string S and the same; an
array of known length [#L, the length as 8 bytes, the values; one of numbers of one type [$, the
type, #L and the same. Numbers are big-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..nodes import Malformed, require
from ..pickle.ndarrays import clean

_LENGTH = struct.Struct(">Q")
_INTEGERS = {b"i": struct.Struct(">b"), b"U": struct.Struct(">B"), b"I": struct.Struct(">h"),
             b"l": struct.Struct(">i"), b"L": struct.Struct(">q")}  # fmt: skip
_NUMBERS = {b"[$U": "B", b"[$i": "b", b"[$I": "h", b"[$l": "i", b"[$L": "q", b"[$d": "f",
            b"[$D": "d"}  # fmt: skip
_MAX_VALUES = 100_000
_MAX_TRIES = 100
_MAX_STRING_BYTES = 64 * 1024


def string(data: bytes, key: str) -> str | None:
    """The string of the first such key; None if there is none, or it was cut off."""
    found = _string_at(data, _after(data, key))
    return found[0] if found else None


def strings(data: bytes, key: str) -> tuple[str, ...] | None:
    """The array of strings of the first such key; None if there is none, or it was cut off."""
    position, count = _array(data, key)
    values = []
    for _ in range(count):
        found = _string_at(data, position)
        if found is None:
            return None
        value, position = found
        values.append(value)
    return tuple(values) if count else None


def integers(data: bytes, key: str) -> tuple[int, ...] | None:
    """The array of integers of the first such key; None if there is none, or it was cut off."""
    position, count = _array(data, key)
    values = []
    for _ in range(count):
        kind = _INTEGERS.get(data[position : position + 1])
        if kind is None or position + 1 + kind.size > len(data):
            return None
        values.append(kind.unpack_from(data, position + 1)[0])
        position += 1 + kind.size
    return tuple(values) if count else None


def numbers(data: bytes, key: str, start: int = 0) -> tuple[tuple[float, ...], int] | None:
    """The array of numbers of one type of the next such key, and where it ends; None if there is
    none, or it was cut off.
    """
    begin = _after(data, key, start)
    code = _NUMBERS.get(data[begin : begin + 3])
    count = _length(data, begin + 5) if data[begin + 3 : begin + 5] == b"#L" else None
    if code is None or count is None or count > _MAX_VALUES:
        return None
    kind, begin = struct.Struct(f">{count}{code}"), begin + 5 + _LENGTH.size
    if begin + kind.size > len(data):
        return None
    return kind.unpack_from(data, begin), begin + kind.size


def objects(data: bytes, key: str) -> Iterator[dict[str, Any]]:
    """The objects behind such a key; what only looks like one, or was cut off, is left out."""
    start = 0
    for _ in range(_MAX_TRIES):
        start = _after(data, key, start)
        if start >= len(data):
            return
        with suppress(Malformed):
            found = value_at(data, start)
            if isinstance(found, dict):
                yield found


def _array(data: bytes, key: str) -> tuple[int, int]:
    """Where the values begin, and how many there are; 0 of what is no array."""
    start = _after(data, key)
    if data[start : start + 3] != b"[#L":
        return start, 0
    count = _length(data, start + 3)
    return start + 3 + _LENGTH.size, count if count is not None and count <= _MAX_VALUES else 0


def _string_at(data: bytes, start: int) -> tuple[str, int] | None:
    """The string that begins there, and where it ends."""
    if data[start : start + 2] != b"SL":
        return None
    size, begin = _length(data, start + 2), start + 2 + _LENGTH.size
    if size is None or size > _MAX_STRING_BYTES or begin + size > len(data):
        return None
    return clean(data[begin : begin + size].decode("utf-8", "replace")), begin + size


def _length(data: bytes, start: int) -> int | None:
    cell = data[start : start + _LENGTH.size]
    return _LENGTH.unpack(cell)[0] if len(cell) == _LENGTH.size else None


def _after(data: bytes, key: str, start: int = 0) -> int:
    """Where the value of the key begins; the end of the data if it has none."""
    mark = b"L" + _LENGTH.pack(len(key)) + key.encode()
    found = data.find(mark, start)
    return found + len(mark) if found >= 0 else len(data)


# Format: UBJSON draft 12, as in `facts/ubjson.py`, which looks for single keys in what may be cut.
# Lengths are L and 8 bytes. An array of numbers of one type is `[$`, the type, `#`, its length and
# the numbers; it is read as an `array.array`.
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
