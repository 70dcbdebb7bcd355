"""Single values out of UBJSON as xgboost writes it: found by their keys, not by reading it all.

Format: UBJSON draft 12. A key is L, its length as 8 bytes, its UTF-8; a string S and the same; an
array of known length [#L, the length as 8 bytes, the values; one of numbers of one type [$, the
type, #L and the same. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ..arrays import clean
from ..nodes import Malformed
from ..ubjson import value_at

_LENGTH = struct.Struct(">Q")
_INTEGERS = {b"i": struct.Struct(">b"), b"U": struct.Struct(">B"), b"I": struct.Struct(">h"),
             b"l": struct.Struct(">i"), b"L": struct.Struct(">q")}  # fmt: skip
_NUMBERS = {b"[$U": "B", b"[$i": "b", b"[$I": "h", b"[$l": "i", b"[$L": "q", b"[$d": "f",
            b"[$D": "d"}  # fmt: skip
_MOST_VALUES = 100_000
_MOST_TRIES = 100
_LONGEST = 64 * 1024


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
    if code is None or count is None or count > _MOST_VALUES:
        return None
    kind, begin = struct.Struct(f">{count}{code}"), begin + 5 + _LENGTH.size
    if begin + kind.size > len(data):
        return None
    return kind.unpack_from(data, begin), begin + kind.size


def objects(data: bytes, key: str) -> Iterator[dict[str, Any]]:
    """The objects behind such a key; what only looks like one, or was cut off, is left out."""
    start = 0
    for _ in range(_MOST_TRIES):
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
    return start + 3 + _LENGTH.size, count if count is not None and count <= _MOST_VALUES else 0


def _string_at(data: bytes, start: int) -> tuple[str, int] | None:
    """The string that begins there, and where it ends."""
    if data[start : start + 2] != b"SL":
        return None
    size, begin = _length(data, start + 2), start + 2 + _LENGTH.size
    if size is None or size > _LONGEST or begin + size > len(data):
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
