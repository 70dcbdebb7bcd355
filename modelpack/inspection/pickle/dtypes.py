"""NumPy dtypes as pickled.

The state is (version, byte order, subarray, names, fields, itemsize, alignment, flags), as
numpy/_core/src/multiarray/descriptor.c writes it; itemsize is -1 where the first argument tells it.
numpy believes it: flags that lie make it take bytes for addresses, and joblib for a pickle. So what
contradicts itself is no dtype here.
"""

from __future__ import annotations

import codecs
import math
import re
import struct
from dataclasses import dataclass
from itertools import pairwise

from ..nodes import DictNode, Node, ObjectNode

DTYPE = "numpy:dtype"

for _codec in ("utf-32-le", "utf-32-be"):
    codecs.lookup(_codec)  # imports a module of Python: not while a file is read

_CODE = re.compile(r"([biufcSUVOMm])(\d{1,9})")
_PLAIN = {
    "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "f12", "f16",
    "c8", "c16", "c24", "c32", "M8", "m8", "O4", "O8",
}  # fmt: skip
_STRUCT = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f2": "e", "f4": "f", "f8": "d",
}  # fmt: skip
_MAX_DIMENSIONS = 64
_MAX_FIELDS = 256
# Of numpy's flags: those of a dtype with objects (counted, pickled as a list, zeroed when made,
# needing the interpreter), and those that any other must not have.
_WITH_OBJECTS, _WITHOUT_OBJECTS = 1 | 2 | 8 | 16, 1 | 2 | 4
_POINTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Dtype:
    """`kind` is numpy's letter (b, i, u, f, c, S, U, V, O, M, m), `itemsize` in bytes, `fields` the
    (name, offset in bytes, dtype) of a structured one.
    """

    kind: str
    itemsize: int
    big_endian: bool
    has_objects: bool
    fields: tuple[tuple[str, int, Dtype], ...] = ()

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


def parse(node: Node) -> Dtype | None:
    """What a pickled `numpy.dtype` tells; None if it is none, or one that numpy does not write."""
    return node.dtype if isinstance(node, ObjectNode) else None


def is_subarray(made: ObjectNode) -> bool:
    """Whether a dtype that `parse` understood stands for an array within each value."""
    return made.states[0][2] is not None


def read(made: ObjectNode) -> Dtype | None:
    """What a call of `numpy.dtype` and its state tell; None if numpy does not write them so."""
    code = made.args[0] if made.args else None
    match = _CODE.fullmatch(code) if isinstance(code, str) else None
    state = made.states[0] if len(made.states) == 1 else None
    if (
        not match
        or len(made.args) != 3
        or made.args[1:] != (False, True)
        or not isinstance(state, tuple)
    ):
        return None
    if len(state) not in (8, 9) or state[0] not in (3, 4) or state[1] not in ("<", ">", "|"):
        return None
    if not _metadata_fit(match[1], state[8:]):
        return None
    size = _itemsize(match[1], int(match[2]), state[5])
    parts = _parts(match[1], size, *state[2:5]) if size is not None else None
    if size is None or parts is None:
        return None
    has_objects = match[1] == "O" or any(part.has_objects for part in parts)
    honest = _flags_fit(state[7], has_objects)
    fields = _fields(state[3], state[4])
    return Dtype(match[1], size, state[1] == ">", has_objects, fields) if honest else None


def _itemsize(kind: str, digits: int, told: Node) -> int | None:
    if kind in "SUV":
        size = digits * (4 if kind == "U" else 1)
        return size if type(told) is int and told == size else None
    if told != -1 or f"{kind}{digits}" not in _PLAIN:
        return None
    return _POINTER_BYTES if kind == "O" else digits  # O4, of a 32-bit system, is read as O8


def _metadata_fit(kind: str, metadata: tuple[Node, ...]) -> bool:
    """Whether the ninth value of a state, if there is one, is what numpy writes there."""
    if kind in "Mm":
        return not metadata or (isinstance(metadata[0], tuple) and len(metadata[0]) == 2)
    return not metadata or isinstance(metadata[0], DictNode)


def _flags_fit(flags: Node, has_objects: bool) -> bool:
    if type(flags) is not int:
        return False
    if has_objects:
        return flags & _WITH_OBJECTS == _WITH_OBJECTS
    return flags & _WITHOUT_OBJECTS == 0


def _parts(kind: str, size: int, subarray: Node, names: Node, fields: Node) -> list[Dtype] | None:
    """The dtypes inside one; None where they do not fit into it."""
    if subarray is None and names is None and fields is None:
        return []
    if kind != "V":
        return None
    if subarray is not None:
        return _of_subarray(size, subarray) if names is None and fields is None else None
    if not isinstance(names, tuple) or not isinstance(fields, DictNode):
        return None
    if max(len(names), len(fields.keys)) > _MAX_FIELDS:
        return None
    keys = {key for key in fields.keys if type(key) is str}
    named = all(type(name) is str and name in keys for name in names)
    return _of_fields(size, fields) if named else None


def _of_subarray(size: int, subarray: Node) -> list[Dtype] | None:
    if not isinstance(subarray, tuple) or len(subarray) != 2:
        return None
    base, shape = parse(subarray[0]), shape_of(subarray[1])
    fits = base and shape is not None and base.itemsize * math.prod(shape) == size
    return [base] if base and fits else None


def _of_fields(size: int, fields: DictNode) -> list[Dtype] | None:
    parts, spans = [], []
    for field in fields.values:
        part = parse(field[0]) if isinstance(field, tuple) and len(field) in (2, 3) else None
        if part is None or type(field[1]) is not int:
            return None
        if not 0 <= field[1] <= size - part.itemsize:
            return None
        parts.append(part)
        spans.append((field[1], field[1] + part.itemsize))
    has_objects = any(part.has_objects for part in parts)
    # A number at the place of an object would be its address.
    return None if has_objects and _overlap(spans) else parts


def _overlap(spans: list[tuple[int, int]]) -> bool:
    spans = sorted(spans)
    return any(end > start for (_, end), (start, _) in pairwise(spans))


def _fields(names: Node, fields: Node) -> tuple[tuple[str, int, Dtype], ...]:
    """Those of `_parts`, which checked them, in the order of their names."""
    if not isinstance(fields, DictNode):
        return ()
    pairs = zip(fields.keys, fields.values, strict=True)
    table = {key: value for key, value in pairs if type(key) is str}
    return tuple((name, table[name][1], table[name][0].dtype) for name in names)


def shape_of(node: Node) -> tuple[int, ...] | None:
    """A shape that an array can have, or None."""
    if not isinstance(node, tuple) or len(node) > _MAX_DIMENSIONS:
        return None
    return node if all(type(n) is int and 0 <= n < 2**63 for n in node) else None
