"""Bulk checks over array contents, dense and sparse.

A rule is a generator: it is sent one piece after the other, and at last an empty one, and raises
`Broken` where what it was sent cannot be. A piece is bytes, or all items of an array of objects. So
all arrays are read in one pass over the file, and none of bytes as a whole.
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
"""The most bytes that a rule is sent at a time."""

Rule = Generator[None, Any, None]


@dataclass(frozen=True, slots=True)
class Scan:
    """`item` is the size in bytes of what a piece holds in whole numbers. Text is sent in UTF-8,
    anything else as the bytes that it is. `work` is what the rule does beyond reading the content,
    in values of 8 bytes.
    """

    content: Content
    item: int
    rule: Rule
    text: bool = False
    work: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Offset and length of content that was not kept."""
        blob = self.content
        return (blob.offset, blob.length) if isinstance(blob, Blob) else (0, 0)

    @property
    def cost(self) -> int:
        """What reading it takes, in bytes."""
        content = self.content
        if isinstance(content, list):
            return 8 * (len(content) + self.work)
        read = content.length if isinstance(content, Blob) else len(content)
        return read + 8 * self.work


def scan_values(array: StoredArray, rule: Rule) -> Scan:
    return Scan(array.content, array.dtype.itemsize, rule)


def run(found: Scan) -> None:
    """Send content that is at hand to its rule.

    Raises:
        Broken: the rule is not followed.
    """
    content = found.content
    feeder = Feeder(found)
    if isinstance(content, bytes):
        feeder.feed(content)
    elif isinstance(content, list) and content:
        feeder.send(content)
    feeder.finish()


class Feeder:
    """Sends bytes to a rule as they come."""

    def __init__(self, found: Scan) -> None:
        self._rule = found.rule
        self._item = found.item
        codec = found.content.codec if isinstance(found.content, Blob) else None
        self._decoder = codecs.getincrementaldecoder(codec)() if codec else None
        self._encoding = "utf-8" if found.text else "latin-1"
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
        self._followed = False  # unless the rule goes on
        self._rule.send(piece)
        self._followed = True

    def finish(self) -> None:
        """After the last byte."""
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
            raise InvariantError("a text stands for no bytes") from None


# Each takes a lane of 32 bits, the first the lowest, as `int.from_bytes(column, "little")` lays
# them. Sums and differences of such integers are those of the lanes as long as none leaves its
# lane; the highest bit of each lane is kept free for that. Five times as fast as a loop over the
# integers.
WIDTH = 4
LIMIT = 2**31
"""What a lane holds is less than this."""

MAX_LANES = PIECE // WIDTH
"""Lanes that `ones` and `numbers` give."""


def ones(count: int) -> int:
    """The value 1 in each of `count` lanes."""
    return _ones() & _all(count)


def numbers(count: int) -> int:
    """The values 0, 1, 2, ... in `count` lanes."""
    return _numbers() & _all(count)


def less(lanes: int, bounds: int, one: int) -> bool:
    """Whether each lane is less than its bound; `one` is `ones` of as many lanes.

    Bounds have to be less than `LIMIT`; a lane that is not is found out.
    """
    spare = one << 31
    return not lanes & spare and ((bounds | spare) - lanes - one) & spare == spare


def all_in_range(column: bytes, bound: int) -> bool:
    """Whether each 32-bit integer of a column, little endian, is in [0, bound); bound < `LIMIT`."""
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
    """Each is in [least, bound)."""
    first = 0
    while piece := (yield):
        if not _sound(piece, numbers, bound, least):
            for place, value in enumerate(values(piece, numbers), first):
                if not least <= value < bound:
                    raise InvariantError(
                        f"{numbers.name} hold {value:,} in place {place:,}, where less than "
                        f"{bound:,} and no less than {least:,} can be"
                    )
        first += len(piece) // numbers.dtype.itemsize


def pointers(numbers: StoredArray, count: int) -> Rule:
    """They begin with 0, never fall, and end with `count` at most."""
    last: int | None = None
    while piece := (yield):
        found = values(piece, numbers)
        begins = found[0] == 0 if last is None else found[0] >= last
        if not begins or not all(map(operator.le, found, found[1:])):
            raise InvariantError(f"{numbers.name} do not begin with 0, or fall")
        last = found[-1]
    if last is None or last > count:
        raise InvariantError(f"{numbers.name} end with {last}, and there are {count:,} values")


def values(piece: bytes, numbers: StoredArray) -> array[int]:
    """Decode a piece of an array of signed integers."""
    found = array(_CODES[numbers.code])
    found.frombytes(piece)
    if numbers.dtype.big_endian != (sys.byteorder == "big"):
        found.byteswap()
    return found


def _sound(piece: bytes, numbers: StoredArray, bound: int, least: int) -> bool:
    """Whether all are in [least, bound), found out at once; False also where it cannot be."""
    if least or numbers.code not in INDEX or numbers.dtype.big_endian or bound >= LIMIT:
        found = values(piece, numbers)
        return least <= min(found) and max(found) < bound
    if numbers.code == "i4":
        return all_in_range(piece, bound)
    words = array("I")
    words.frombytes(piece)
    high = words[1::2].tobytes()
    return high == bytes(len(high)) and all_in_range(words[::2].tobytes(), bound)


# The compiled routines go through `indices` and `data` from `indptr[i]` to `indptr[i + 1]`, and
# read and write at these indices, coordinates and offsets. scipy compares them with the shape when
# a matrix is made, and not when it is unpickled. See scipy/sparse/sparsetools.
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
    require(len(values.shape) == 3, "the values of a sparse matrix are no blocks")
    _, height, width = values.shape
    fits = height > 0 and width > 0 and not rows % height and not columns % width
    require(fits, "the blocks of a sparse matrix do not fit its shape")
    return _compressed(node, values, rows // height, columns // width)


def by_coordinates(node: ObjectNode) -> Iterator[Scan]:
    """One coordinate for each dimension of a value: coo."""
    state, shape, values = attributes(node), _shape_of(node), _flat(node)
    old = [state[name] for name in ("row", "col") if name in state]
    since = state.get("coords")  # since scipy 1.13
    found = list(since) if isinstance(since, tuple | list) else old
    is_one = ("coords" in state) != bool(old)
    require(is_one and len(found) == len(shape), "a sparse matrix has not one index a dimension")
    for coordinate, length in zip(found, shape, strict=True):
        indices = stored_array(coordinate, _INDICES)
        indices.expect(INDEX, values.size)
        yield scan_values(indices, in_range(indices, length))


def by_diagonals(node: ObjectNode) -> Iterator[Scan]:
    """Diagonals: dia. A diagonal may lie outside of the matrix by its own offset only."""
    state, (rows, columns) = attributes(node), shape_of_sparse(node)
    offsets = stored_array(state.get("offsets"), "the offsets of a sparse matrix")
    offsets.expect(INDEX, None)
    values = stored_array(state.get("data"), _VALUES)
    fits = len(values.shape) == 2 and values.shape[0] == offsets.size
    require(fits, "a sparse matrix has not one offset a diagonal")
    yield scan_values(offsets, in_range(offsets, columns + 1, least=-rows))


def by_lists(node: ObjectNode) -> Iterator[Scan]:
    """Two lists for each row, of columns and of values: lil."""
    state, (rows, columns) = attributes(node), shape_of_sparse(node)
    indices = stored_array(state.get("rows"), _INDICES)
    values = stored_array(state.get("data"), _VALUES)
    fits = indices.shape == values.shape == (rows,)
    require(fits, "a sparse matrix has not one list of indices a row")
    if not isinstance(indices.content, list) or not isinstance(values.content, list):
        raise InvariantError("a sparse matrix holds no lists")
    lengths = [len(row) if isinstance(row, list) else -1 for row in indices.content]
    others = [len(row) if isinstance(row, list) else -2 for row in values.content]
    require(lengths == others, "a sparse matrix has not one index a value")
    yield Scan(indices.content, 1, _lists(columns), work=sum(lengths))


def by_keys(node: ObjectNode) -> Iterator[Scan]:
    """A dict of coordinates: dok. It was a dict itself before scipy 1.13, and holds one since."""
    shape = _shape_of(node)
    for values in (*node.args, node.pairs, attributes(node).get("_dict")):
        if isinstance(values, DictNode):
            yield Scan(values.keys, 1, _keys(shape), work=len(shape) * len(values.keys))


def is_sparse(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node).startswith("scipy.sparse.")


def shape_of_sparse(node: ObjectNode) -> tuple[int, int]:
    """Of a matrix, two lengths; of an array of one dimension, that of its only row as well."""
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
    require(len(values.shape) == 1, "the values of a sparse matrix are no list")
    return values


def _compressed(node: ObjectNode, values: StoredArray, major: int, minor: int) -> Iterator[Scan]:
    """Indices in [0, minor), and where those of each of `major` rows or columns begin."""
    state = attributes(node)
    starts = stored_array(state.get("indptr"), "the row pointers of a sparse matrix")
    indices = stored_array(state.get("indices"), _INDICES)
    starts.expect(INDEX, major + 1)
    indices.expect(INDEX, None)
    fits = values.shape[:1] == indices.shape and starts.code == indices.code
    require(fits, "a sparse matrix has not one index a value")
    yield scan_values(starts, pointers(starts, indices.size))
    yield scan_values(indices, in_range(indices, minor))


def _lists(columns: int) -> Rule:
    while rows := (yield):
        for row in rows:
            _below(row, (columns,) * len(row))


def _keys(shape: tuple[int, ...]) -> Rule:
    while keys := (yield):
        for key in keys:
            place = key if isinstance(key, tuple) else (key,)
            require(len(place) == len(shape), "a sparse matrix has not one index a dimension")
            _below(place, shape)


def _below(numbers: list[Node] | tuple[Node, ...], bounds: tuple[int, ...]) -> None:
    for node, bound in zip(numbers, bounds, strict=True):
        value = integer(node)
        if value is None or not 0 <= value < bound:
            shown = "no integer" if value is None else f"{value:,}"
            raise InvariantError(
                f"{_INDICES} hold {shown}, where less than {bound:,} and no less than 0 can be"
            )
