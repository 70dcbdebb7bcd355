"""numpy's dtypes as they are pickled: `dtype("f8", False, True)` with a state of eight values.

The state is (version, byte order, subarray, names, fields, itemsize, alignment, flags), as
numpy/_core/src/multiarray/descriptor.c writes it; itemsize is -1 where the first argument tells it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from .nodes import Dct, Node, Obj

_CODE = re.compile(r"[<>|=]?([?biufcSUVOMm])(\d*)")
_NAMED = {"bool": "b1", "object": "O8", "float": "f8", "int": "i8"}
_STRUCT = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dtype:
    """`kind` is numpy's letter (b, i, u, f, c, S, U, V, O, M, m), `itemsize` in bytes."""

    kind: str
    itemsize: int
    big_endian: bool
    has_objects: bool

    def decode(self, data: bytes) -> list[bool | int | float | str | bytes] | None:
        """The values of a flat array, or None where numbers and strings cannot say them."""
        if not self.itemsize:
            return None
        data = data[: len(data) // self.itemsize * self.itemsize]
        code = _STRUCT.get(f"{self.kind}{self.itemsize}")
        if code:
            order = ">" if self.big_endian else "<"
            return list(struct.unpack(f"{order}{len(data) // self.itemsize}{code}", data))
        cells = (data[i : i + self.itemsize] for i in range(0, len(data), self.itemsize))
        if self.kind == "S":
            return [cell.rstrip(b"\0") for cell in cells]
        if self.kind == "U":
            codec = "utf-32-be" if self.big_endian else "utf-32-le"
            return [cell.decode(codec, "replace").rstrip("\0") for cell in cells]
        return None


_DEEPEST = 8
"""Levels of structured dtypes inside each other; a hostile one may even hold itself."""


def parse(node: Node, level: int = 0) -> Dtype | None:
    """What a pickled `numpy.dtype` tells; None if it is none, or one that no array has."""
    if (
        level > _DEEPEST
        or not isinstance(node, Obj)
        or node.cls.key != "numpy:dtype"
        or not node.args
    ):
        return None
    code = node.args[0]
    match = _CODE.fullmatch(_NAMED.get(code, code)) if isinstance(code, str) else None
    if match is None:
        return None
    kind, digits = match[1].replace("?", "b"), match[2]
    state = node.states[-1] if node.states else ()
    state = (
        state if isinstance(state, tuple) and len(state) >= 8 else (3, "|", None, None, None, -1)
    )
    size = int(digits[:9] or 1) * (4 if kind == "U" else 1)
    if type(state[5]) is int and state[5] >= 0:
        size = state[5]
    return Dtype(kind, size, state[1] == ">", kind == "O" or _holds_objects(state, level))


def _holds_objects(state: tuple[Node, ...], level: int) -> bool:
    """Whether a structured dtype has a field of objects; one that cannot be read counts as such."""
    fields, base = state[4], state[2]
    if base is not None:
        inner = parse(base[0], level + 1) if isinstance(base, tuple) and base else None
        return inner is None or inner.has_objects
    if not isinstance(fields, Dct):
        return False
    cells = [parse(f[0], level + 1) if isinstance(f, tuple) and f else None for f in fields.values]
    return any(cell is None or cell.has_objects for cell in cells)
