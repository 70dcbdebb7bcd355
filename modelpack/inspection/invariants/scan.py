"""Bulk checks over the contents of arrays, dense and sparse.

A rule is a generator that receives the pieces of an array, then an empty one, and raises
`InvariantError` at an invalid value. A piece is bytes, or all items of an array of objects. All
arrays of a file are thus checked in one pass, without keeping their bytes.
"""

from __future__ import annotations

import codecs
import operator
import struct
import sys
from array import array
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from .. import limits
from ..contracts import class_key
from ..nodes import Blob, DictNode, Node, ObjectNode
from .objects import (
    Content,
    InvariantError,
    StoredArray,
    attributes,
    integer,
    require,
    stored_array,
)

PIECE = 256 * limits.KIB
"""The maximum number of bytes in a piece."""

Rule = Generator[None, Any, None]


@dataclass(frozen=True, slots=True)
class Scan:
    """Content to check, and its rule.

    Attributes:
        item: The size of a value in bytes; a piece contains whole values.
        text: Whether the rule receives text in UTF-8 instead of bytes.
        work: The work of the rule beyond reading the content, in values of 8 bytes.
    """

    content: Content
    item: int
    rule: Rule
    text: bool = False
    work: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        """The offset and length of content that was not kept."""
        blob = self.content
        return (blob.offset, blob.length) if isinstance(blob, Blob) else (0, 0)

    @property
    def cost(self) -> int:
        """The cost of the scan, in bytes."""
        content = self.content
        if isinstance(content, list):
            return 8 * (len(content) + self.work)
        read = content.length if isinstance(content, Blob) else len(content)
        return read + 8 * self.work


def scan_values(array: StoredArray, rule: Rule) -> Scan:
    return Scan(array.content, array.dtype.itemsize, rule)


def run(scan: Scan) -> None:
    """Run the rule of content that was kept. Raise InvariantError if the content breaks it."""
    content = scan.content
    feeder = Feeder(scan)
    if isinstance(content, bytes):
        feeder.feed(content)
    elif isinstance(content, list) and content:
        feeder.send(content)
    feeder.finish()


class Feeder:
    """A connection from a stream of bytes to a rule."""

    def __init__(self, scan: Scan) -> None:
        self._rule = scan.rule
        self._item = scan.item
        codec = scan.content.codec if isinstance(scan.content, Blob) else None
        self._decoder = codecs.getincrementaldecoder(codec)() if codec else None
        self._encoding = "utf-8" if scan.text else "latin-1"
        self._rest = b""
        self._followed = True
        next(self._rule)

    def feed(self, data: bytes) -> None:
        data = self._rest + self._decoded(data)
        whole = len(data) - len(data) % self._item
        self._rest = data[whole:]
        step = PIECE - PIECE % self._item
        for start in range(0, whole if self._followed else 0, step):
            self.send(data[start : min(start + step, whole)])

    def send(self, piece: bytes | list[Node]) -> None:
        self._followed = False  # set again unless the rule raises
        self._rule.send(piece)
        self._followed = True

    def finish(self) -> None:
        """End the rule after the last byte."""
        if not self._followed:
            return
        self._decoded(b"", final=True)
        if self._rest:
            raise InvariantError("an array ends in the middle of a value")
        with suppress(StopIteration):
            self._rule.send(b"")

    def _decoded(self, data: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, final).encode(self._encoding)
        except UnicodeError:
            raise InvariantError("a text cannot be decoded as bytes") from None


# Vectors: one large integer contains many 32-bit values ("lanes"), the first in its lowest bits, as
# `int.from_bytes(column, "little")` does. Adding two vectors adds all lanes, if no lane overflows;
# the highest bit of each lane is kept free for that. Five times as fast as a loop over the values.
WIDTH = 4
LIMIT = 2**31
"""The upper bound of a value in a lane."""

MAX_LANES = PIECE // WIDTH
"""The maximum number of lanes of `ones` and `numbers`."""


def ones(count: int) -> int:
    """Return the value 1 in each of `count` lanes."""
    return _ones() & _all(count)


def numbers(count: int) -> int:
    """Return the values 0, 1, 2, ... in `count` lanes."""
    return _numbers() & _all(count)


def less(lanes: int, bounds: int, one: int) -> bool:
    """Return whether each lane is less than its bound.

    Args:
        lanes: The values; False if one is not below `LIMIT`.
        bounds: The bounds, all below `LIMIT`.
        one: `ones` of the same number of lanes.
    """
    spare = one << 31
    return not lanes & spare and ((bounds | spare) - lanes - one) & spare == spare


def all_in_range(column: bytes, bound: int) -> bool:
    """Return whether all 32-bit little-endian integers are in [0, bound); bound < `LIMIT`."""
    one = ones(len(column) // WIDTH)
    return less(int.from_bytes(column, "little"), bound * one, one)


def _all(count: int) -> int:
    return (1 << 8 * WIDTH * count) - 1


@cache
def _ones() -> int:
    return int.from_bytes(b"\1\0\0\0" * MAX_LANES, "little")


@cache
def _numbers() -> int:
    return int.from_bytes(struct.pack(f"<{MAX_LANES}I", *range(MAX_LANES)), "little")


INDEX = {"i4", "i8"}
SIGNED = {"i1", "i2", "i4", "i8"}

_CODES = {"i1": "b", "i2": "h", "i4": "i", "i8": "q"}


def in_range(numbers: StoredArray, bound: int, least: int = 0) -> Rule:
    """Require that all numbers are in [least, bound)."""
    first = 0
    while piece := (yield):
        if not _all_in_range(piece, numbers, bound, least):
            for position, value in enumerate(values(piece, numbers), first):
                if not least <= value < bound:
                    raise InvariantError(
                        f"{numbers.name} contain {value:,} at position {position:,}, which is not "
                        f"between {least:,} and {bound - 1:,}"
                    )
        first += len(piece) // numbers.dtype.itemsize


def rising(numbers: StoredArray, count: int, *, first: int | None = 0) -> Rule:
    """Require offsets that start at `first`, never decrease, and end at `count` or less.

    None accepts any first offset of 0 or more: the array may be a part of another.
    """
    last: int | None = None
    while piece := (yield):
        found = values(piece, numbers)
        if last is None and first is not None:
            require(found[0] == first, f"{numbers.name} do not start at {first}")
        fits = found[0] >= (last or 0) and all(map(operator.le, found, found[1:]))
        require(fits, f"{numbers.name} decrease")
        last = found[-1]
    fits = last is not None and last <= count
    require(fits, f"{numbers.name} end at {last}, but there are only {count:,} entries")


def values(piece: bytes, numbers: StoredArray) -> array[int]:
    """Decode a piece of an array of signed integers."""
    found = array(_CODES[numbers.code])
    found.frombytes(piece)
    if numbers.dtype.big_endian != (sys.byteorder == "big"):
        found.byteswap()
    return found


def _all_in_range(piece: bytes, numbers: StoredArray, bound: int, least: int) -> bool:
    """Return whether all numbers are in [least, bound), without a loop over them."""
    if least or numbers.code not in INDEX or numbers.dtype.big_endian or bound >= LIMIT:
        found = values(piece, numbers)
        return least <= min(found) and max(found) < bound
    if numbers.code == "i4":
        return all_in_range(piece, bound)
    words = array("I")
    words.frombytes(piece)
    high = words[1::2].tobytes()
    return high == bytes(len(high)) and all_in_range(words[::2].tobytes(), bound)


# Sparse matrices. The compiled routines read `indices` and `data` from `indptr[i]` to
# `indptr[i + 1]`, and read and write at these indices, coordinates and offsets. scipy compares them
# with the shape when it builds a matrix, but not when it unpickles one. See
# scipy/sparse/sparsetools.
_VALUES = "the values of a sparse matrix"
_INDICES = "the indices of a sparse matrix"


def by_rows(node: ObjectNode) -> Iterator[Scan]:
    """Compressed rows: csr."""
    return _compressed(node, _flat(node), *shape_of_sparse(node))


def by_columns(node: ObjectNode) -> Iterator[Scan]:
    """Compressed columns: csc."""
    return _compressed(node, _flat(node), *shape_of_sparse(node)[::-1])


def by_blocks(node: ObjectNode) -> Iterator[Scan]:
    """Compressed rows of dense blocks of one shape: bsr."""
    rows, columns = shape_of_sparse(node)
    values = stored_array(attributes(node).get("data"), _VALUES)
    require(len(values.shape) == 3, "the values of a sparse matrix are not blocks")
    _, height, width = values.shape
    fits = height > 0 and width > 0 and not rows % height and not columns % width
    require(fits, "the blocks of a sparse matrix do not fit its shape")
    return _compressed(node, values, rows // height, columns // width)


def by_coordinates(node: ObjectNode) -> Iterator[Scan]:
    """One coordinate for each dimension and value: coo."""
    state, shape, values = attributes(node), _shape_of(node), _flat(node)
    old = [state[name] for name in ("row", "col") if name in state]
    since = state.get("coords")  # since scipy 1.13
    found = list(since) if isinstance(since, tuple | list) else old
    is_one = ("coords" in state) != bool(old)
    require(
        is_one and len(found) == len(shape),
        "a sparse matrix does not have one index for each dimension",
    )
    for coordinate, length in zip(found, shape, strict=True):
        indices = stored_array(coordinate, _INDICES)
        indices.expect(INDEX, values.size)
        yield scan_values(indices, in_range(indices, length))


def by_diagonals(node: ObjectNode) -> Iterator[Scan]:
    """Diagonals: dia. Each offset is that of a diagonal inside the matrix or next to it."""
    state, (rows, columns) = attributes(node), shape_of_sparse(node)
    offsets = stored_array(state.get("offsets"), "the offsets of a sparse matrix")
    offsets.expect(INDEX, None)
    values = stored_array(state.get("data"), _VALUES)
    fits = len(values.shape) == 2 and values.shape[0] == offsets.size
    require(fits, "a sparse matrix does not have one offset for each diagonal")
    yield scan_values(offsets, in_range(offsets, columns + 1, least=-rows))


def by_lists(node: ObjectNode) -> Iterator[Scan]:
    """Two lists for each row, of columns and of values: lil."""
    state, (rows, columns) = attributes(node), shape_of_sparse(node)
    indices = stored_array(state.get("rows"), _INDICES)
    values = stored_array(state.get("data"), _VALUES)
    fits = indices.shape == values.shape == (rows,)
    require(fits, "a sparse matrix does not have one list of indices for each row")
    if not isinstance(indices.content, list) or not isinstance(values.content, list):
        raise InvariantError("a sparse matrix does not contain lists")
    lengths = [len(row) if isinstance(row, list) else -1 for row in indices.content]
    others = [len(row) if isinstance(row, list) else -2 for row in values.content]
    require(lengths == others, "a sparse matrix does not have one index for each value")
    yield Scan(indices.content, 1, _lists(columns), work=sum(lengths))


def by_keys(node: ObjectNode) -> Iterator[Scan]:
    """A dict of coordinates: dok. It is a dict before scipy 1.13, and contains one since then."""
    shape = _shape_of(node)
    for values in (*node.args, node.pairs, attributes(node).get("_dict")):
        if isinstance(values, DictNode):
            yield Scan(values.keys, 1, _keys(shape), work=len(shape) * len(values.keys))


def is_sparse(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node).startswith("scipy.sparse.")


def shape_of_sparse(node: ObjectNode) -> tuple[int, int]:
    """Return the two lengths of a matrix; an array of one dimension has one row."""
    shape = _shape_of(node)
    require(len(shape) < 3, "a sparse matrix has no shape")
    return shape[-2] if len(shape) == 2 else 1, shape[-1]


def _shape_of(node: ObjectNode) -> tuple[int, ...]:
    state = attributes(node).get("_shape")
    shape = tuple(integer(n) for n in state) if isinstance(state, tuple) else ()
    lengths = tuple(n for n in shape if n is not None and n >= 0)
    require(0 < len(lengths) == len(shape), "a sparse matrix has no shape")
    return lengths


def _flat(node: ObjectNode) -> StoredArray:
    values = stored_array(attributes(node).get("data"), _VALUES)
    require(len(values.shape) == 1, "the values of a sparse matrix do not have one dimension")
    return values


def _compressed(node: ObjectNode, values: StoredArray, major: int, minor: int) -> Iterator[Scan]:
    """Check indices in [0, minor), and the pointers of `major` rows or columns."""
    state = attributes(node)
    starts = stored_array(state.get("indptr"), "the row pointers of a sparse matrix")
    indices = stored_array(state.get("indices"), _INDICES)
    starts.expect(INDEX, major + 1)
    indices.expect(INDEX, None)
    fits = values.shape[:1] == indices.shape and starts.code == indices.code
    require(fits, "a sparse matrix does not have one index for each value")
    yield scan_values(starts, rising(starts, indices.size))
    yield scan_values(indices, in_range(indices, minor))


def _lists(columns: int) -> Rule:
    while rows := (yield):
        for row in rows:
            _require_below(row, (columns,) * len(row))


def _keys(shape: tuple[int, ...]) -> Rule:
    while keys := (yield):
        for key in keys:
            position = key if isinstance(key, tuple) else (key,)
            require(
                len(position) == len(shape),
                "a sparse matrix does not have one index for each dimension",
            )
            _require_below(position, shape)


def _require_below(numbers: list[Node] | tuple[Node, ...], bounds: tuple[int, ...]) -> None:
    for node, bound in zip(numbers, bounds, strict=True):
        value = integer(node)
        if value is None or not 0 <= value < bound:
            shown = "a value that is not an integer" if value is None else f"{value:,}"
            raise InvariantError(
                f"{_INDICES} contain {shown}, which is not between 0 and {bound - 1:,}"
            )
