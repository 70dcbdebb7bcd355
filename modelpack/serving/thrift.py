"""The headers of Parquet's pages, as far as they tell sizes and encodings: structs of numbers in
Thrift's compact protocol.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
DEEPEST = 4
LONGEST = 10  # bytes of an integer


def read_struct(data: bytes, position: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of the struct at `position`, by number, and where it ends.

    Raises:
        ValueError: it is broken, or holds more than structs and scalars.
    """
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head = _byte(data, position)
        position += 1
        if not head:
            return fields, position
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position)
        if number in fields or depth > DEEPEST:
            raise ValueError("a field is there twice, or too deep")
        fields[number], position = _value(data, position, head & 15, depth)


def _value(data: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, position
    if kind == STRUCT:
        return read_struct(data, position, depth + 1)
    if kind in (I16, I32, I64):
        return _integer(data, position)
    if kind == BINARY:
        length, position = _varint(data, position)
        return None, position + length
    if kind in (BYTE, DOUBLE):
        return None, position + struct.calcsize("b" if kind == BYTE else "d")
    raise ValueError("a list or map")


def _integer(data: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    return (value >> 1) ^ -(value & 1), position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(LONGEST):
        byte = _byte(data, position + index)
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, position + index + 1
    raise ValueError("an integer is too long")


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise ValueError("the data ends within a struct")
    return data[position]
