"""Attributes, arrays and record layouts of the objects that are checked."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..nodes import Blob, DictNode, Node, ObjectNode, Payload
from ..pickle.dtypes import Dtype, parse, shape_of
from ..pickle.ndarrays import scalar

Content = bytes | Blob | list[Node]


class InvariantError(Exception):
    """An object does not have a property that compiled code relies on."""


class OldLayoutError(InvariantError):
    """An object has the layout of a release that is no longer supported."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantError(message)


def attributes(node: ObjectNode) -> dict[str, Node]:
    """Return the attributes that the state sets; empty without a state.

    Raises:
        InvariantError: The state is not a dict, or sets an attribute twice, of which loading would
            keep one.
    """
    if not node.states:
        return {}
    require(len(node.states) == 1, "its state is not a dict")
    return named_attributes(node.states[0])


def named_attributes(state: Node, what: str = "its state") -> dict[str, Node]:
    """Return the values of a dict by name, as `attributes` does; `what` is for messages."""
    if not isinstance(state, DictNode):
        raise InvariantError(f"{what} is not a dict")
    pairs = zip(state.keys, state.values, strict=True)
    found = {key: value for key, value in pairs if type(key) is str}
    require(len(found) == len(state.keys), f"{what} does not name each attribute once")
    return found


def integer(node: Node) -> int | None:
    """Return the value of a Python or numpy integer, or None."""
    value = scalar(node)
    return value if type(value) is int else None


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in the file. `name` is for messages."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    fortran: bool
    content: Content

    @property
    def code(self) -> str:
        """The dtype as numpy writes it, without byte order: "i8", "f4"."""
        return f"{self.dtype.kind}{self.dtype.itemsize}"

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def expect(self, codes: set[str], *shape: int | None) -> None:
        """Require one of the dtypes, and a shape in which None is any length.

        Raises:
            InvariantError: The dtype or the shape is another.
        """
        require(
            self.code in codes,
            f"the dtype of {self.name} is {self.code}, not {' or '.join(sorted(codes))}",
        )
        fits = len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(shape, self.shape, strict=True)
        )
        needed = ", ".join("any" if n is None else str(n) for n in shape)
        require(fits, f"the shape of {self.name} is {self.shape}, not ({needed})")


def stored_array(node: Node, name: str) -> StoredArray:
    """Return the array that a node builds.

    Raises:
        InvariantError: The node is not an array, or its content does not have the size of its
            shape.
    """
    if isinstance(node, Payload):
        if isinstance(node.inner, list):
            return StoredArray(name, node.dtype, node.shape, node.fortran, node.inner)
        if node.data is None:
            return stored_array(node.inner, name)
        return StoredArray(name, node.dtype, node.shape, node.fortran, node.data)
    is_numpy = isinstance(node, ObjectNode) and node.cls.module.startswith("numpy.")
    reader = _READERS.get(node.cls.name) if is_numpy else None
    if reader is None:
        raise InvariantError(f"{name} is not an array")
    return reader(node, name)


def _reconstructed(node: ObjectNode, name: str) -> StoredArray:
    state = node.states[0] if len(node.states) == 1 else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise InvariantError(f"{name} is not an array")
    _, shape, dtype, fortran, data = state
    return _array(name, (dtype, shape, fortran is True), data)


def _from_buffer(node: ObjectNode, name: str) -> StoredArray:
    if len(node.args) != 4 or node.states:
        raise InvariantError(f"{name} is not an array")
    data, dtype, shape, order = node.args
    return _array(name, (dtype, shape, order == "F"), data)


_READERS = {"_reconstruct": _reconstructed, "_frombuffer": _from_buffer}


def _array(name: str, kind: tuple[Node, Node, bool], data: Node) -> StoredArray:
    dtype, shape = parse(kind[0]), shape_of(kind[1])
    content = data if isinstance(data, list) else raw(data)
    if dtype is None or shape is None or content is None:
        raise InvariantError(f"{name} is not an array")
    found = StoredArray(name, dtype, shape, kind[2], content)
    unit = 1 if isinstance(content, list) else dtype.itemsize
    size = length(content)
    require(size in (None, unit * found.size), f"{name} does not have the size of its shape")
    return found


def length(content: Content) -> int | None:
    """Return the length in bytes or items, or None for long text that is not decoded yet."""
    if isinstance(content, Blob):
        return None if content.codec else content.length
    return len(content)


def raw(node: Node) -> bytes | Blob | None:
    """Return bytes in the form of any pickle protocol, or None."""
    if isinstance(node, str):
        return _latin(node)
    if isinstance(node, ObjectNode) and node.cls.name in {"encode", "bytes", "bytearray"}:
        if not node.args:
            return b""
        known = len(node.args) == 1 or node.args[1] in ("latin1", "latin-1")
        return raw(node.args[0]) if known else None
    return node if isinstance(node, bytes | Blob) else None


def _latin(text: str) -> bytes | None:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None


Layout = dict[str, set[str]]
"""Field -> its allowed dtypes, as in `StoredArray.code`; in the order of the fields."""

_CODES = {"i4": "i", "i8": "q", "u1": "B", "u4": "I", "f8": "d"}


def require_layout(records: StoredArray, *layouts: Layout) -> None:
    """Require a list of records in one of the layouts, whose fields do not overlap.

    Raises:
        InvariantError: The array is something else.
    """
    name, fields = records.name, records.dtype.fields
    require(len(records.shape) == 1, f"{name} are not a list")
    names = [field for field, _, _ in fields]
    layout = next((found for found in layouts if list(found) == names), {})
    fits = all(f"{kind.kind}{kind.itemsize}" in layout.get(field, ()) for field, _, kind in fields)
    require(bool(layout) and fits, f"{name} do not have the fields that the library reads")
    ends = [0, *(offset + kind.itemsize for _, offset, kind in fields)]
    disjoint = all(end <= offset for end, (_, offset, _) in zip(ends, fields, strict=False))
    require(disjoint, f"fields of {name} overlap")


class Columns:
    """Some integer fields of records, in the order of their offsets, all of one byte order."""

    def __init__(self, dtype: Dtype, *names: str) -> None:
        self.fields = {name: (offset, kind) for name, offset, kind in dtype.fields if name in names}
        text, end = "", 0
        for offset, kind in self.fields.values():
            text += f"{offset - end}x{_CODES[f'{kind.kind}{kind.itemsize}']}"
            end = offset + kind.itemsize
        orders = {kind.big_endian for _, kind in self.fields.values() if kind.itemsize > 1}
        require(len(orders) < 2, "fields differ in their byte order")
        self._struct = struct.Struct(
            f"{'>' if True in orders else '<'}{text}{dtype.itemsize - end}x"
        )

    def rows(self, records: bytes) -> Iterator[tuple[int, ...]]:
        """Yield the fields of each record."""
        return self._struct.iter_unpack(records)


def word_offsets(dtype: Dtype, *names: str) -> list[int] | None:
    """Return the positions of 8-byte little-endian fields, counted in words of 4 bytes.

    Returns:
        The positions, or None if a field is of another kind or does not start at a word.
    """
    fields = [(offset, kind) for name, offset, kind in dtype.fields if name in names]
    fine = all(k.itemsize == 8 and not k.big_endian and not offset % 4 for offset, k in fields)
    return [offset // 4 for offset, _ in fields] if fine and not dtype.itemsize % 4 else None
