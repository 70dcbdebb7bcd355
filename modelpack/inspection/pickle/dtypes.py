"""NumPy dtypes as pickled.

The state is (version, byte order, subarray, names, fields, itemsize, alignment, flags). Source:
numpy/_core/src/multiarray/descriptor.c. `itemsize` is -1 if the first argument contains it.

numpy does not check the state: with wrong flags it uses bytes as addresses, and joblib reads them
as a pickle. So an inconsistent dtype is rejected here.
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
    codecs.lookup(_codec)  # imports a module, which must not happen while a file is read

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
# Flags of numpy: those of a dtype with objects (reference counts, pickled as a list, initialised,
# needs the interpreter), and those that other dtypes do not have.
_WITH_OBJECTS, _WITHOUT_OBJECTS = 1 | 2 | 8 | 16, 1 | 2 | 4
_POINTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Dtype:
    """A valid dtype.

    Attributes:
        kind: Letter of numpy: b, i, u, f, c, S, U, V, O, M, m.
        itemsize: In bytes.
        fields: Name, offset in bytes and dtype of each field of a structured dtype.
    """

    kind: str
    itemsize: int
    big_endian: bool
    has_objects: bool
    fields: tuple[tuple[str, int, Dtype], ...] = ()

    def decode(self, data: bytes) -> list[bool | int | float | str | bytes] | None:
        """Decode a flat array. None if its values are not numbers or strings."""
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
    """Return the dtype of a node. None if the node is not a dtype that numpy writes."""
    return node.dtype if isinstance(node, ObjectNode) else None


def is_subarray(node: ObjectNode) -> bool:
    """Return whether each value of a valid dtype is an array."""
    return node.states[0][2] is not None


def read(node: ObjectNode) -> Dtype | None:
    """Parse a call of `numpy.dtype` and its state. None if numpy does not write them."""
    code = node.args[0] if node.args else None
    match = _CODE.fullmatch(code) if isinstance(code, str) else None
    state = node.states[0] if len(node.states) == 1 else None
    if (
        not match
        or len(node.args) != 3
        or node.args[1:] != (False, True)
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
    if not _flags_fit(state[7], has_objects):
        return None
    return Dtype(match[1], size, state[1] == ">", has_objects, _fields(state[3], state[4]))


def _itemsize(kind: str, digits: int, stated: Node) -> int | None:
    if kind in "SUV":
        size = digits * (4 if kind == "U" else 1)
        return size if type(stated) is int and stated == size else None
    if stated != -1 or f"{kind}{digits}" not in _PLAIN:
        return None
    return _POINTER_BYTES if kind == "O" else digits  # O4 of 32-bit systems is read as O8


def _metadata_fit(kind: str, metadata: tuple[Node, ...]) -> bool:
    """Return whether the ninth value of a state, if it exists, is valid."""
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
    """Return the dtypes inside a dtype. None if they do not fit into it."""
    if subarray is None and names is None and fields is None:
        return []
    if kind != "V":
        return None
    if subarray is not None:
        return _subarray_parts(size, subarray) if names is None and fields is None else None
    if not isinstance(names, tuple) or not isinstance(fields, DictNode):
        return None
    if max(len(names), len(fields.keys)) > _MAX_FIELDS:
        return None
    keys = {key for key in fields.keys if type(key) is str}
    named = all(type(name) is str and name in keys for name in names)
    return _field_parts(size, fields) if named else None


def _subarray_parts(size: int, subarray: Node) -> list[Dtype] | None:
    if not isinstance(subarray, tuple) or len(subarray) != 2:
        return None
    base, shape = parse(subarray[0]), shape_of(subarray[1])
    fits = base and shape is not None and base.itemsize * math.prod(shape) == size
    return [base] if base and fits else None


def _field_parts(size: int, fields: DictNode) -> list[Dtype] | None:
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
    # A number that overlaps an object would be used as its address.
    return None if has_objects and _overlap(spans) else parts


def _overlap(spans: list[tuple[int, int]]) -> bool:
    spans = sorted(spans)
    return any(end > start for (_, end), (start, _) in pairwise(spans))


def _fields(names: Node, fields: Node) -> tuple[tuple[str, int, Dtype], ...]:
    """Return the fields in the order of their names. `_parts` has checked them."""
    if not isinstance(fields, DictNode):
        return ()
    pairs = zip(fields.keys, fields.values, strict=True)
    table = {key: value for key, value in pairs if type(key) is str}
    return tuple((name, table[name][1], table[name][0].dtype) for name in names)


def shape_of(node: Node) -> tuple[int, ...] | None:
    """Return the shape if an array can have it."""
    if not isinstance(node, tuple) or len(node) > _MAX_DIMENSIONS:
        return None
    return node if all(type(n) is int and 0 <= n < 2**63 for n in node) else None
