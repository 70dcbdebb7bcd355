"""Checks of columns of intervals and of sparse columns of pandas.

pandas compares the ends of intervals, and the values of a sparse column with their positions, when
it builds these arrays, but not when it unpickles them. Its compiled routines read the values at the
positions. See pandas/core/arrays/interval.py, `_validate`, and pandas/_libs/sparse.pyx.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..allowlist import contract_name
from ..nodes import Node, ObjectNode
from .indexes import array_shape, interval_ends
from .objects import InvariantError, StoredArray, attributes, integer, require, stored_array
from .scan import Rule, Scan, scan_values, values

_LIMIT = 2**31


def intervals(node: ObjectNode) -> Iterator[Scan]:
    """`__pyx_unpickle_IntervalMixin(class, ...)`: two arrays of one class and length."""
    left, right = map(array_shape, interval_ends(node))
    require(left == right and len(left or (0,)) == 1, "intervals do not have two ends each")
    yield from ()


def sparse(node: ObjectNode) -> Iterator[Scan]:
    """A sparse column: one value for each position of its index."""
    state = attributes(node)
    if not state:
        return
    index = state.get("_sparse_index")
    stored = stored_array(state.get("_sparse_values"), "the values of a sparse column")
    require(len(stored.shape) == 1, "the values of a sparse column have several dimensions")
    require(stored.dtype.kind in "biufcmM", "the values of a sparse column are objects")
    if not isinstance(index, ObjectNode):
        raise InvariantError("a sparse column has no positions")
    is_blocks = contract_name(index.cls.key) == "sparse_blocks"
    yield from (_blocks if is_blocks else _positions)(index.args, stored.size)


def _positions(arguments: tuple[Node, ...], count: int) -> Iterator[Scan]:
    """`IntIndex(length, indices)`."""
    indices = _numbers(arguments[1])
    require(indices.size == count, "a sparse column does not have one value for each position")
    yield scan_values(indices, _ascending(indices, _length(arguments[0])))


def _blocks(arguments: tuple[Node, ...], count: int) -> Iterator[Scan]:
    """`BlockIndex(length, starts, lengths)`: the blocks follow each other."""
    starts, sizes = map(_numbers, arguments[1:])
    require(starts.size == sizes.size, "a sparse column does not have one length for each block")
    ends: list[int] = []
    yield scan_values(sizes, _collect(sizes, ends))
    total = sum(ends)
    require(min(ends, default=1) > 0, "a sparse column has a block without values")
    require(total == count, "a sparse column does not have one value for each position")
    yield scan_values(starts, _apart(starts, ends, _length(arguments[0])))


def _numbers(node: Node) -> StoredArray:
    found = stored_array(node, "the positions of a sparse column")
    found.expect({"i4"}, None)
    return found


def _length(node: Node) -> int:
    found = integer(node)
    if found is None or found >= _LIMIT:
        raise InvariantError("a sparse column is too long")
    return found


def _ascending(numbers: StoredArray, count: int) -> Rule:
    last = -1
    while piece := (yield):
        for position in values(piece, numbers):
            require(last < position < count, "the positions of a sparse column do not ascend")
            last = position


def _collect(numbers: StoredArray, into: list[int]) -> Rule:
    while piece := (yield):
        into.extend(values(piece, numbers))


def _apart(starts: StoredArray, sizes: list[int], count: int) -> Rule:
    end = 0
    remaining = iter(sizes)
    while piece := (yield):
        for start in values(piece, starts):
            fits = start >= end and start + (size := next(remaining)) <= count
            require(fits, "the blocks of a sparse column overlap, or exceed it")
            end = start + size
