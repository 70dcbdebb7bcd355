"""The memory that a request will take, before it is read.

A message of two bytes takes hundreds in memory, and an integer of one byte takes eight, so a body
within the limit of its size could need gigabytes.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ..problems import Problem

MAX_PARTS, MAX_FIELDS = 200_000, 1_000_000
"""Messages and raw contents in a request, twice as many as a model has inputs; and all fields."""

Parts = Mapping[int, Any]
"""Field that contains messages -> the same of these messages; None if it contains bytes; for packed
integers, the bytes that each takes in memory."""

PARTS: Parts = {
    4: {},  # parameters
    5: {4: {}, 5: {2: 4, 3: 8, 4: 4, 5: 8}},  # inputs, their parameters and contents
    6: {2: {}},  # outputs, and their parameters
    7: None,  # raw contents
}
"""Those of InferRequest."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_CONTINUED = bytes(range(128, 256))
"""The bytes of an integer except its last one."""


def require_fitting(data: bytes, limit: int) -> None:
    """Check the size of an inference request. Malformed data are left to others.

    Args:
        data: The message.
        limit: Bytes that its integers may take in memory.

    Raises:
        Problem: 413, it has too many parts or integers.
    """
    count = fields = held = 0
    waiting: list[tuple[int, int, Parts]] = [(0, len(data), PARTS)]
    while waiting:
        start, end, parts = waiting.pop()
        for number, first, stop in _fields(data, start, end):
            fields += 1
            part = parts.get(number, 0)
            if isinstance(part, int):
                held += part and part * len(data[first:stop].translate(None, _CONTINUED))
            else:
                count += 1
                if part is not None:
                    waiting.append((first, stop, part))
            if count > MAX_PARTS or fields > MAX_FIELDS:
                limits = f"{MAX_PARTS:,} tensors and parameters, or {MAX_FIELDS:,} texts"
                raise Problem(413, f"The request has more than {limits}.")
            if held > limit:
                raise Problem(413, f"The integers of the request take more than {limit:,} bytes.")


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield where the value of each field begins and ends, and its number, or 0 for a scalar."""
    while position < end:
        tag, position = _varint(data, position, end)
        kind, size = tag & 7, 0
        if kind == _BYTES:
            size, position = _varint(data, position, end)
        elif kind == _VARINT:
            _, position = _varint(data, position, end)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:  # a group, which no message has
            return
        yield (tag >> 3 if kind == _BYTES else 0), position, min(position + size, end)
        position += size


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    return 0, end
