"""Attributes and record layouts of the objects checked."""

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
    """What compiled code would believe of an object does not hold; the message says what."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantError(message)


def attributes(node: ObjectNode) -> dict[str, Node]:
    """What the state sets; empty where there is none.

    Raises:
        Broken: the state is no dict, or sets an attribute twice: in loading one of the values wins.
    """
    if not node.states:
        return {}
    require(len(node.states) == 1, "its state is no dict")
    return named_attributes(node.states[0])


def named_attributes(state: Node, what: str = "its state") -> dict[str, Node]:
    """Read a state that is a dict; `Broken` as for `attributes`, which says `what` it is."""
    if not isinstance(state, DictNode):
        raise InvariantError(f"{what} is no dict")
    pairs = zip(state.keys, state.values, strict=True)
    found = {key: value for key, value in pairs if type(key) is str}
    require(len(found) == len(state.keys), f"{what} does not name each attribute once")
    return found


def integer(node: Node) -> int | None:
    """A Python or numpy integer, or None."""
    value = scalar(node)
    return value if type(value) is int else None


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array as the file holds it. `name` is for messages."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    fortran: bool
    content: Content

    @property
    def code(self) -> str:
        """As numpy writes a plain dtype, without its byte order: "i8", "f4"."""
        return f"{self.dtype.kind}{self.dtype.itemsize}"

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def expect(self, codes: set[str], *shape: int | None) -> None:
        """Require one of the dtypes, and a shape; None stands for any length.

        Raises:
            Broken: it is another.
        """
        require(self.code in codes, f"{self.name} holds {self.code} and not {' or '.join(codes)}")
        fits = len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(shape, self.shape, strict=True)
        )
        needed = ", ".join("any" if n is None else str(n) for n in shape)
        require(fits, f"the shape of {self.name} is {self.shape}, where ({needed}) is needed")


def stored_array(node: Node, name: str) -> StoredArray:
    """The array that a node makes.

    Raises:
        Broken: it makes none, or one of fewer or more bytes than its shape tells.
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
        raise InvariantError(f"{name} is no array")
    return reader(node, name)


def _reconstructed(node: ObjectNode, name: str) -> StoredArray:
    state = node.states[0] if len(node.states) == 1 else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise InvariantError(f"{name} is no array")
    _, shape, dtype, fortran, data = state
    return _array(name, (dtype, shape, fortran is True), data)


def _from_buffer(node: ObjectNode, name: str) -> StoredArray:
    if len(node.args) != 4 or node.states:
        raise InvariantError(f"{name} is no array")
    data, dtype, shape, order = node.args
    return _array(name, (dtype, shape, order == "F"), data)


_READERS = {"_reconstruct": _reconstructed, "_frombuffer": _from_buffer}


def _array(name: str, kind: tuple[Node, Node, bool], data: Node) -> StoredArray:
    dtype, shape = parse(kind[0]), shape_of(kind[1])
    content = data if isinstance(data, list) else raw(data)
    if dtype is None or shape is None or content is None:
        raise InvariantError(f"{name} is no array")
    found = StoredArray(name, dtype, shape, kind[2], content)
    unit = 1 if isinstance(content, list) else dtype.itemsize
    size = length(content)
    require(size in (None, unit * found.size), f"{name} holds more or less than its shape tells")
    return found


def length(content: Content) -> int | None:
    """In bytes or items; None of text that is too long to keep: it tells when it is decoded."""
    if isinstance(content, Blob):
        return None if content.codec else content.length
    return len(content)


def raw(node: Node) -> bytes | Blob | None:
    """Bytes, however the protocol at hand writes them, or None."""
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
"""Field -> the dtypes that it may have, as numpy writes them without byte order; in order."""

_CODES = {"i4": "i", "i8": "q", "u1": "B", "u4": "I", "f8": "d"}


def require_layout(records: StoredArray, *layouts: Layout) -> None:
    """Require a list of records of one of the layouts, in which no field covers another.

    Raises:
        Broken: it is something else.
    """
    name, fields = records.name, records.dtype.fields
    require(len(records.shape) == 1, f"{name} are no list")
    names = [field for field, _, _ in fields]
    layout = next((found for found in layouts if list(found) == names), {})
    fits = all(f"{kind.kind}{kind.itemsize}" in layout.get(field, ()) for field, _, kind in fields)
    require(bool(layout) and fits, f"{name} have other fields than they have")
    ends = [0, *(offset + kind.itemsize for _, offset, kind in fields)]
    disjoint = all(end <= offset for end, (_, offset, _) in zip(ends, fields, strict=False))
    require(disjoint, f"fields of {name} lie on each other")


class Columns:
    """Some integer fields of records, in the order of their offsets, one byte order for all."""

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
        """The fields of each record."""
        return self._struct.iter_unpack(records)


def word_offsets(dtype: Dtype, *names: str) -> list[int] | None:
    """Where fields of 8 bytes, little endian, begin if a record is seen as words of 4 bytes; None
    if one is not such a field, or begins within a word.
    """
    fields = [(offset, kind) for name, offset, kind in dtype.fields if name in names]
    fine = all(k.itemsize == 8 and not k.big_endian and not offset % 4 for offset, k in fields)
    return [offset // 4 for offset, _ in fields] if fine and not dtype.itemsize % 4 else None
