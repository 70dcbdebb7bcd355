"""Protocol Buffers fields.

Format: a key (varint: the number of the field, and in the lowest three bits the wire type), then
the value: a varint (wire type 0), 8 bytes (1), a length and that many bytes (2), or 4 bytes (5).

Parsers accept more than writers write, and they differ. The C++ parser truncates keys and
enumerations to 32 bits, uses the last of several values of a field, merges messages that come in
parts, and skips unknown fields. A file could then contain one model for modelpack and another one
for onnxruntime. So this parser accepts only fields of the schema, in the wire type of the schema,
and several values only of repeated fields.
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
_MAX_BYTE = 0x7F  # of a varint of one byte
_RUNS = re.compile(rb"(?:\x3d.{4})+|(?:\x40[\x80-\xff]{0,8}[\0-\x7f])+", re.DOTALL)
"""Fields 7 and 8. In ONNX these are the numbers of an attribute; a forest has millions."""


@dataclass(frozen=True)
class Kind:
    """The declaration of a field: `narrow` for 32-bit integers, `many` if it is repeated."""

    wire: int
    narrow: bool = False
    many: bool = False


INTEGER, NARROW = Kind(_VARINT), Kind(_VARINT, narrow=True)
FLOAT, DOUBLE, BYTES = Kind(_FOUR), Kind(_EIGHT), Kind(_BYTES)
"""Strings and messages are BYTES."""

Schema = Mapping[int, Kind]
"""Key of a field -> its kind."""


def many(kind: Kind) -> Kind:
    return replace(kind, many=True)


def schema(kinds: Mapping[int, Kind]) -> Schema:
    """Return the schema of a message. `kinds`: number of a field -> its kind."""
    single = {number << 3 | kind.wire: kind for number, kind in kinds.items()}
    packed = {number << 3 | _BYTES: many(BYTES) for number, kind in kinds.items() if kind.many}
    return {**packed, **single}


def fields(data: memoryview, known: Schema, *, skip_runs: bool = False) -> Iterator[Field]:
    """Yield the number and the value of each field: an integer, or the bytes of anything else.

    `skip_runs`: skip long runs of the fields 7 and 8.

    Raises:
        Malformed: The message is truncated, or does not follow the schema.
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
            message = f"a message of the ONNX model has the unknown field {number:,}"
            raise Malformed("malformed", message)
        if not kind.many:
            if seen >> number & 1:
                message = f"a message of the ONNX model has field {number} twice"
                raise Malformed("malformed", message)
            seen |= 1 << number
        if kind.wire == _VARINT:
            value, position = _varint(data, position)
            fits = not kind.narrow or -(2**31) <= signed(value) < 2**31
            require(fits, "a 32-bit number of the ONNX model is out of range")
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
    """Read a key. Leading zeros are rejected: parsers differ in how many bytes they read."""
    key, after = _varint(data, position)
    fits = after - position == -(-key.bit_length() // 7)
    require(fits, "a field key of the ONNX model has leading zeros")
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
    """Return the values of a repeated integer field, packed or not."""
    return [each for key, value in fields(data, known) if key == number for each in numbers(value)]


def numbers(value: Value) -> list[int]:
    """Return one integer, or several packed ones."""
    if isinstance(value, int):
        return [signed(value)]
    values: list[int] = []
    position = 0
    while position < len(value):
        packed, position = _varint(value, position)
        values.append(signed(packed))
    return values


def floats(value: Value) -> list[float]:
    """Return one number of 4 bytes, or several packed ones."""
    data = message(value)
    require(len(data) % 4 == 0, "the ONNX model ends within a number", "truncated")
    return [number for (number,) in struct.iter_unpack("<f", data)]


def message(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise Malformed("malformed", "a field of the ONNX model is a number, not a message")
    return value


def number(value: Value) -> int:
    if not isinstance(value, int):
        raise Malformed("malformed", "a field of the ONNX model is a message, not a number")
    return signed(value)


def text(value: Value) -> str:
    """Decode a string strictly: names that differ as bytes must differ as strings."""
    try:
        return bytes(message(value)).decode()
    except UnicodeDecodeError:
        raise Malformed("malformed", "a string of the ONNX model is not valid UTF-8") from None


def any_text(value: Value) -> str:
    """Decode bytes that are usually text."""
    return bytes(message(value)).decode("utf-8", "replace")


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
