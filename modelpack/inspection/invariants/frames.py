"""Checks of frames and series of pandas: blocks of values, and the positions of their columns.

A manager contains the indexes of its axes, and blocks with the columns of one dtype each and their
positions in the frame. pandas does not check the positions and lengths in a pickle, and its
compiled routines read and write at them. See pandas/_libs/internals.pyx, and
pandas/core/internals/managers.py, `__setstate__`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..allowlist import standing
from ..contracts import class_key, constructed_class
from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import dict_get
from .indexes import array_shape, index_length
from .objects import (
    InvariantError,
    StoredArray,
    attributes,
    integer,
    require,
    stored_array,
)
from .scan import INDEX, Rule, Scan, scan_values, values

_SINCE = "0.14.1"
"""The key of the state in the form that pandas has written since that release."""

_KINDS = {"DataFrame": "BlockManager", "Series": "SingleBlockManager"}


def frame(node: ObjectNode) -> Iterator[Scan]:
    """A DataFrame or Series: its one manager is of the matching class."""
    state = attributes(node)
    found = [
        state[name] for name in ("_mgr", "_data") if name in state
    ]  # since pandas 1.1, before it
    require(
        len(found) == 1 and isinstance(found[0], ObjectNode),
        "it does not have exactly one manager of its values",
    )
    key = class_key(found[0])
    manager_name = _KINDS[class_key(node).rpartition(":")[2]]
    fits = key.endswith(f":{manager_name}") or standing(key) == "unknown"
    require(fits, "its manager is that of another class")
    yield from ()


def manager(node: ObjectNode) -> Iterator[Scan]:
    """A manager: each column of the frame has one position in one block."""
    blocks, axes = _parts(node)
    is_single = class_key(node).endswith(":SingleBlockManager")
    require(
        len(axes) == (1 if is_single else 2),
        "a frame does not have the number of axes of its class",
    )
    lengths = [index_length(axis) for axis in axes]
    positions = _Positions(lengths)
    yield Scan(blocks, 1, positions.read())
    total = sum(map(len, positions.slices)) + sum(array.size for array in positions.arrays)
    if lengths[0] not in (None, total):
        raise InvariantError(
            f"the blocks of a frame contain {total:,} columns, but it has {lengths[0]:,}"
        )
    yield Scan(blocks, 1, positions.take(total), work=total // 8)
    for array in positions.arrays:
        yield scan_values(array, positions.take_each(array))


@dataclass
class _Positions:
    """The positions of columns in a frame, or of values in a series; each may occur once."""

    lengths: list[int | None]
    slices: list[range] = field(default_factory=list)
    arrays: list[StoredArray] = field(default_factory=list)
    taken: bytearray = field(default_factory=bytearray)

    def read(self) -> Rule:
        """Compare each block with its positions and the axes."""
        while blocks := (yield):
            for block in blocks:
                node, placement, dimensions = _block(block)
                require(
                    dimensions in (None, len(self.lengths)),
                    "a block does not have the dimensions of its frame",
                )
                self._compare(array_shape(node), self._count(placement))

    def _count(self, placement: Node) -> int:
        if isinstance(placement, ObjectNode) and placement.cls.name == "slice":
            self.slices.append(_range(placement))
            return len(self.slices[-1])
        positions = stored_array(placement, "the positions of a block")
        positions.expect(INDEX, None)
        self.arrays.append(positions)
        return positions.size

    def _compare(self, shape: tuple[int, ...] | None, count: int) -> None:
        if shape is None:
            return
        is_column = len(self.lengths) == 2 and len(shape) == 1  # an array of pandas
        actual = (1, *shape) if is_column else shape
        expected = (count, *self.lengths[1:])
        fits = len(actual) == len(expected) and all(
            want in (None, have) for want, have in zip(expected, actual, strict=True)
        )
        require(fits, f"a block has the shape {shape}, but its positions need {expected}")

    def take(self, total: int) -> Rule:
        """Mark the positions in slices as taken; `total` is the number of all positions."""
        while (yield):
            self.taken = bytearray(total)
            for positions in self.slices:
                if positions and not 0 <= positions[0] <= positions[-1] < total:
                    raise InvariantError(f"a block has the position {positions[-1]:,} of {total:,}")
                part = slice(positions.start, positions.stop, positions.step)
                require(1 not in self.taken[part], "two blocks of a frame have the same position")
                self.taken[part] = b"\1" * len(positions)

    def take_each(self, positions: StoredArray) -> Rule:
        """Mark the positions in an array as taken."""
        taken = self.taken
        while piece := (yield):
            for position in values(piece, positions):
                if not 0 <= position < len(taken):
                    raise InvariantError(f"a block has the position {position:,} of {len(taken):,}")
                require(not taken[position], "two blocks of a frame have the same position")
                taken[position] = 1


def _parts(node: ObjectNode) -> tuple[list[Node], list[Node]]:
    """Return the blocks and the axes of a manager, from its arguments or its state."""
    is_called = constructed_class(node) is node.cls and bool(node.args)
    if is_called and len(node.args) == 2 and not node.states:  # since pandas 1.3
        blocks, axes = node.args
    else:
        state = node.states[0] if len(node.states) == 1 and not is_called else None
        extra = state[3] if isinstance(state, tuple) and len(state) == 4 else None
        content = dict_get(extra, _SINCE) if isinstance(extra, DictNode) else None
        if not isinstance(content, DictNode):
            raise InvariantError("the blocks of a frame are not in a form that pandas writes")
        blocks, axes = dict_get(content, "blocks"), dict_get(content, "axes")
    if not isinstance(blocks, list | tuple) or not isinstance(axes, list | tuple):
        raise InvariantError("the blocks of a frame are not in a form that pandas writes")
    return list(blocks), list(axes)


def _block(node: Node) -> tuple[Node, Node, int | None]:
    """Return the values of a block, its positions, and its number of dimensions or None."""
    if isinstance(node, ObjectNode) and len(node.args) == 3:
        return node.args[0], node.args[1], integer(node.args[2])
    if isinstance(node, DictNode) and len(node.keys) == 2:
        return dict_get(node, "values"), dict_get(node, "mgr_locs"), None
    raise InvariantError("a block is not in a form that pandas writes")


def _range(node: ObjectNode) -> range:
    """Return the positions of a slice in ascending order."""
    start, stop, step = map(integer, node.args) if len(node.args) == 3 else (None, None, None)
    if start is None or start < 0 or not step:
        raise InvariantError("the positions of a block are not a slice that pandas writes")
    if step < 0 and node.args[1] is None:
        stop = -1
    elif stop is None or stop < 0:
        raise InvariantError("the positions of a block are not a slice that pandas writes")
    found = range(start, stop, step)
    return found if step > 0 else found[::-1]
