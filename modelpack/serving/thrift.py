"""Structs in Thrift's compact protocol, as Parquet's footer and page headers are.

A reader in C++ passes over a field whose type is not the one it expects. So does who looks up
fields here: they go by number and type, and numbers out of their type's range are refused.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
WIDTHS = {BYTE: 1, DOUBLE: 8}
BITS = {I16: 16, I32: 32, I64: 64}
DEEPEST = 10
LONGEST = 10  # bytes of an integer

Fields = Dict[Tuple[int, int], Any]
"""(number, type) -> an integer, boolean, bytes, list, Fields, or None for what is passed over."""


def read_struct(data: bytes, position: int, depth: int = 0) -> tuple[Fields, int]:
    """The fields of the struct at `position`, and where it ends.

    Raises:
        ValueError: it is broken, or holds a map or a set.
    """
    fields: Fields = {}
    numbers: set[int] = set()
    number = 0
    while True:
        head = _byte(data, position)
        position += 1
        if not head:
            return fields, position
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position, I16)
        if number in numbers or depth > DEEPEST:
            raise ValueError("a field is there twice, or too deep")
        numbers.add(number)
        fields[number, head & 15], position = _value(data, position, head & 15, depth)


def _value(data: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, position
    if kind in BITS:
        return _integer(data, position, kind)
    if kind in WIDTHS:
        return None, position + WIDTHS[kind]
    if kind == BINARY:
        length, position = _varint(data, position)
        return data[position : position + length], position + length
    if kind == STRUCT:
        return read_struct(data, position, depth + 1)
    if kind == LIST:
        return _list(data, position, depth + 1)
    raise ValueError("a map or a set")


def _list(data: bytes, position: int, depth: int) -> tuple[list[Any], int]:
    head = _byte(data, position)
    position += 1
    count, kind = head >> 4, head & 15
    if count == 15:
        count, position = _varint(data, position)
    if count > len(data) - position or depth > DEEPEST:  # each takes a byte at least
        raise ValueError("a list is too long, or too deep")
    values = []
    for _ in range(count):
        if kind in (TRUE, FALSE):  # which take a byte where they stand in a list
            position += 1
        value, position = _value(data, position, kind, depth)
        values.append(value)
    return values, position


def _integer(data: bytes, position: int, kind: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    if value >> BITS[kind]:
        raise ValueError("an integer is out of range")
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
