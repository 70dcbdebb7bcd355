"""Protocol Buffers fields.

Format: a key (varint: the number of the field, and in its lowest three bits how its value is
written), then a varint (0), 8 bytes (1), a length and so many bytes (2), or 4 bytes (5).

Parsers of Protocol Buffers accept more than their writers write, and not all accept the same. The
parser in C++ cuts a key or an enumeration to 32 bits, takes the last of several values of a field,
merges messages that come in parts, and passes over what it does not know. A file could then hold
one model here and another there. So a message has only the fields of its schema, each written as
its kind is, and once unless it is repeated.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..nodes import Malformed, require

Value = int | memoryview
Field = tuple[int, Value]

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_SIZES = {_EIGHT: 8, _FOUR: 4}
_MAX_BITS = 63
_MAX_BYTE = 0x7F  # of a varint that is one byte
_RUNS = re.compile(rb"(?:\x3d.{4})+|(?:\x40[\x80-\xff]{0,8}[\0-\x7f])+", re.DOTALL)
"""Fields 7 and 8: in ONNX the numbers of an attribute, of which a forest has millions."""


@dataclass(frozen=True)
class Kind:
    """`narrow`: an integer of 32 bits. `many`: the field is repeated; if it is one of numbers, they
    may lie packed together.
    """

    wire: int
    narrow: bool = False
    many: bool = False


INTEGER, NARROW = Kind(_VARINT), Kind(_VARINT, narrow=True)
FLOAT, DOUBLE, BYTES = Kind(_FOUR), Kind(_EIGHT), Kind(_BYTES)
"""Texts and messages are bytes, too."""

Schema = Mapping[int, Kind]
"""By the key of a field."""


def many(kind: Kind) -> Kind:
    return replace(kind, many=True)


def schema(kinds: Mapping[int, Kind]) -> Schema:
    """`kinds`: by the number of the field."""
    found = {number << 3 | kind.wire: kind for number, kind in kinds.items()}
    packed = {number << 3 | _BYTES: many(BYTES) for number, kind in kinds.items() if kind.many}
    return {**packed, **found}


def fields(data: memoryview, known: Schema, *, skip_runs: bool = False) -> Iterator[Field]:
    """Each field with its value: an integer, or the bytes of anything else.

    Raises:
        Malformed: it is cut, no Protocol Buffer, or not a message of the schema.
    """
    position, end, seen = 0, len(data), 0
    while position < end:
        if skip_runs and (run := _RUNS.match(data, position)):
            position = run.end()
            continue
        key, position = data[position], position + 1
        if key > _MAX_BYTE:
            key, position = _key(data, position - 1)
        number, kind = key >> 3, known.get(key)
        if kind is None:
            message = f"the ONNX model has a field {number:,} that modelpack does not know there"
            raise Malformed("malformed", message)
        if not kind.many:
            if seen >> number & 1:
                message = f"the ONNX model has a field {number} twice, where one belongs"
                raise Malformed("malformed", message)
            seen |= 1 << number
        if kind.wire == _VARINT:
            value, position = _varint(data, position)
            fits = not kind.narrow or -(2**31) <= signed(value) < 2**31
            require(fits, "the ONNX model has a number of more than 32 bits where 32 belong")
            yield number, value
            continue
        size, position = _size(kind.wire, data, position)
        require(size <= end - position, "the ONNX model ends too early", "truncated")
        yield number, data[position : position + size]
        position += size


def _size(wire: int, data: memoryview, position: int) -> tuple[int, int]:
    if wire != _BYTES:
        return _SIZES[wire], position
    return _varint(data, position)


def _key(data: memoryview, position: int) -> tuple[int, int]:
    """In as few bytes as it takes: parsers differ in how many they read."""
    key, after = _varint(data, position)
    shortest = -(-key.bit_length() // 7)
    require(
        after - position == shortest, "the ONNX model has a key of a field with zeros before it"
    )
    return key, after


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while shift <= _MAX_BITS:
        if position >= len(data):
            raise Malformed("truncated", "the ONNX model ends too early")
        byte = data[position]
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80 and number < 2**64:
            return number, position
    raise Malformed("malformed", "the ONNX model has a number of more than 64 bits")


def integers(data: memoryview, number: int, known: Schema) -> list[int]:
    """The values of a repeated field of integers, one by one or packed together."""
    found: list[int] = []
    for key, value in fields(data, known):
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
    require(len(data) % 4 == 0, "the ONNX model ends within a number", "truncated")
    return [number for (number,) in struct.iter_unpack("<f", data)]


def message(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise Malformed("malformed", "the ONNX model has a number where a message belongs")
    return value


def number(value: Value) -> int:
    if not isinstance(value, int):
        raise Malformed("malformed", "the ONNX model has a message where a number belongs")
    return signed(value)


def text(value: Value) -> str:
    """A text of the schema. Two that differ stay different, as names have to."""
    try:
        return bytes(message(value)).decode()
    except UnicodeDecodeError:
        raise Malformed("malformed", "the ONNX model has text that is not in UTF-8") from None


def any_text(value: Value) -> str:
    """Bytes that are mostly text."""
    return bytes(message(value)).decode("utf-8", "replace")


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
