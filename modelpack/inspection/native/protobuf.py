"""Protocol Buffers, as they lie in a file: numbered fields, and no schema.

Format: a key (varint: the number of the field, and in its lowest three bits the kind), then a
varint (0), 8 bytes (1), a length and so many bytes (2), or 4 bytes (5). Kinds 3 and 4, groups, are
long out of use.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ..nodes import Malformed, require

Value = int | memoryview
Field = tuple[int, Value]

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MOST_BITS = 63
_RUNS = re.compile(rb"(?:\x3d.{4})+|(?:\x40[\x80-\xff]{0,9}[\0-\x7f])+", re.DOTALL)
"""Fields 7 and 8: in ONNX the numbers of an attribute, of which a forest has millions."""


def fields(data: memoryview, *, skip_runs: bool = False) -> Iterator[Field]:
    """Each field with its value: an integer, or the bytes of anything else.

    Raises:
        Malformed: it is cut, or no Protocol Buffer.
    """
    position, end = 0, len(data)
    while position < end:
        if skip_runs and (run := _RUNS.match(data, position)):
            position = run.end()
            continue
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        size, position = _size(kind, data, position)
        require(size <= end - position, "the ONNX model ends too early", "truncated")
        yield key >> 3, data[position : position + size]
        position += size


def _size(kind: int, data: memoryview, position: int) -> tuple[int, int]:
    if kind == _BYTES:
        return _varint(data, position)
    fixed = {_EIGHT: 8, _FOUR: 4}.get(kind)
    require(fixed is not None, f"the ONNX model has a field of kind {kind}, which there is not")
    return fixed or 0, position


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while shift <= _MOST_BITS:
        if position >= len(data):
            raise Malformed("truncated", "the ONNX model ends too early")
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number & (2**64 - 1), position
    raise Malformed("malformed", "the ONNX model has a number of more than 64 bits")


def integers(data: memoryview, number: int) -> list[int]:
    """The values of a repeated field of integers, one by one or packed together."""
    found: list[int] = []
    for key, value in fields(data):
        if key == number and isinstance(value, int):
            found.append(signed(value))
        elif key == number and isinstance(value, memoryview):
            position = 0
            while position < len(value):
                packed, position = _varint(value, position)
                found.append(signed(packed))
    return found


def floats(value: Value) -> list[float]:
    """One number of 4 bytes, or several packed together."""
    data = message(value)
    return [number for (number,) in struct.iter_unpack("<f", data[: len(data) // 4 * 4])]


def message(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise Malformed("malformed", "the ONNX model has a number where a message belongs")
    return value


def number(value: Value) -> int:
    if not isinstance(value, int):
        raise Malformed("malformed", "the ONNX model has a message where a number belongs")
    return signed(value)


def text(value: Value) -> str:
    return bytes(message(value)).decode("utf-8", "replace")


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
