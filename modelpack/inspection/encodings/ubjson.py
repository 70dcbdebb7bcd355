"""UBJSON: whole documents, and single values by key.

Format: UBJSON draft 12. A key is `L`, its length in 8 bytes, and UTF-8. A string is `S` and the
same. An array of known length is `[#L`, the length in 8 bytes, and the values. An array of numbers
of one type is `[$`, the type, `#L` and the same. Numbers are big-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..nodes import Malformed, require
from ..text import clean

_LENGTH = struct.Struct(">Q")
_INTEGERS = {b"i": struct.Struct(">b"), b"U": struct.Struct(">B"), b"I": struct.Struct(">h"),
             b"l": struct.Struct(">i"), b"L": struct.Struct(">q")}  # fmt: skip
_NUMBERS = {b"[$U": "B", b"[$i": "b", b"[$I": "h", b"[$l": "i", b"[$L": "q", b"[$d": "f",
            b"[$D": "d"}  # fmt: skip
_MAX_VALUES = 100_000
_MAX_TRIES = 100
_MAX_STRING_BYTES = 64 * 1024


def string(data: bytes, key: str) -> str | None:
    """Return the string of the first such key. None if it is missing or cut off."""
    match = _string_at(data, _after(data, key))
    return match[0] if match else None


def strings(data: bytes, key: str) -> tuple[str, ...] | None:
    """Return the array of strings of the first such key. None if it is missing or cut off."""
    position, count = _array(data, key)
    values = []
    for _ in range(count):
        match = _string_at(data, position)
        if match is None:
            return None
        value, position = match
        values.append(value)
    return tuple(values) if count else None


def integers(data: bytes, key: str) -> tuple[int, ...] | None:
    """Return the array of integers of the first such key. None if it is missing or cut off."""
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
    """Return the array of numbers of the next such key, and where it ends.

    None if it is missing, cut off, or its numbers are not of one type.
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
    """Yield the object of each such key, without those that are cut off or invalid."""
    start = 0
    for _ in range(_MAX_TRIES):
        start = _after(data, key, start)
        if start >= len(data):
            return
        with suppress(Malformed):
            value = value_at(data, start)
            if isinstance(value, dict):
                yield value


def _array(data: bytes, key: str) -> tuple[int, int]:
    """Return the position of the first value, and the number of values; 0 if it is not an array."""
    start = _after(data, key)
    if data[start : start + 3] != b"[#L":
        return start, 0
    count = _length(data, start + 3)
    return start + 3 + _LENGTH.size, count if count is not None and count <= _MAX_VALUES else 0


def _string_at(data: bytes, start: int) -> tuple[str, int] | None:
    """Return the string that begins at `start`, and where it ends."""
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
    """Return the position of the value of a key; the end of the data if the key is missing."""
    mark = b"L" + _LENGTH.pack(len(key)) + key.encode()
    position = data.find(mark, start)
    return position + len(mark) if position >= 0 else len(data)


DEPTH = 32
_SCALARS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_STRUCTS = {mark: struct.Struct(code) for mark, code in _SCALARS.items()}
_CONSTANTS: dict[bytes, Any] = {b"Z": None, b"T": True, b"F": False}


def loads(data: bytes) -> Any:
    """Parse a document. Arrays of numbers of one type become `array.array`.

    Raises:
        Malformed: The document is truncated or invalid, or nested deeper than `DEPTH`.
    """
    reader = _Reader(data)
    value = reader.value(0)
    require(reader.position == len(data), "bytes follow the end of the UBJSON", "trailing-data")
    return value


def value_at(data: bytes, position: int) -> Any:
    """Parse the value that begins at `position`.

    Raises:
        Malformed: As for `loads`.
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
        require(mark == b"[", f"the UBJSON has the invalid type {mark!a}")
        return self._array(depth)

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._peek() != b"}":
            key = self._text()
            require(key not in members, f"the UBJSON has the key {key[:40]!a} twice")
            members[key] = self.value(depth + 1)
        self.position += 1
        return members

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
        """Read the number of the next items, of at least `size` bytes each."""
        require(self._take(1) == b"L", "a length in the UBJSON is not a 64-bit number")
        count = int(self._scalar(b"L"))
        rest = len(self.data) - self.position
        require(0 <= count * size <= rest, "the UBJSON ends too early", "truncated")
        return count

    def _text(self) -> str:
        raw = self._take(self._length(1))
        try:
            return clean(raw.decode())
        except UnicodeDecodeError:
            raise Malformed("malformed", "a string in the UBJSON is not valid UTF-8") from None

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
