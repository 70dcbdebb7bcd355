"""Frames and series of pandas: blocks of values, and the places of their columns.

A manager holds the indexes of its axes, and blocks that hold the columns of one dtype each with
the places where they belong. pandas takes these places and the lengths of blocks from a pickle as
they are: its compiled routines write and read there. See pandas/_libs/internals.pyx, and
pandas/core/internals/managers.py, `__setstate__`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..allowlist import standing
from ..arrays import dict_get
from ..contracts import class_key, made_class
from ..nodes import Dct, Node, Obj
from .indexes import array_shape, index_length
from .integers import INDEX, values
from .objects import Broken, Stored, attributes, integer, require, stored
from .scans import Rule, Scan, scan

_SINCE = "0.14.1"
"""The only form of a state that pandas has written since that release."""

_KINDS = {"DataFrame": "BlockManager", "Series": "SingleBlockManager"}


def frame(made: Obj) -> Iterator[Scan]:
    """A DataFrame or Series: the manager of as many axes."""
    state = attributes(made)
    found = [state[name] for name in ("_mgr", "_data") if name in state]  # since 1.1, before
    require(len(found) == 1 and isinstance(found[0], Obj), "it has not one manager of its values")
    key = class_key(found[0])
    wanted = _KINDS[class_key(made).rpartition(":")[2]]
    fits = key.endswith(f":{wanted}") or standing(key) == "unknown"
    require(fits, "its values are managed as those of another class")
    yield from ()


def manager(made: Obj) -> Iterator[Scan]:
    """Axes and blocks, given as arguments or in a state."""
    blocks, axes = _parts(made)
    is_single = class_key(made).endswith(":SingleBlockManager")
    require(len(axes) == (1 if is_single else 2), "the blocks of a frame have other axes than it")
    lengths = [index_length(axis) for axis in axes]
    placed = _Placed(lengths)
    yield Scan(blocks, 1, placed.read())
    total = sum(map(len, placed.slices)) + sum(array.size for array in placed.arrays)
    if lengths[0] not in (None, total):
        raise Broken(f"the blocks of a frame hold {total:,} columns, and it has {lengths[0]:,}")
    yield Scan(blocks, 1, placed.take(total), work=total // 8)
    for array in placed.arrays:
        yield scan(array, placed.take_each(array))


@dataclass
class _Placed:
    """The places of the columns of a frame, or of the values of a series; each is taken once."""

    lengths: list[int | None]
    slices: list[range] = field(default_factory=list)
    arrays: list[Stored] = field(default_factory=list)
    taken: bytearray = field(default_factory=bytearray)

    def read(self) -> Rule:
        """Compare each block with its places and the axes."""
        while blocks := (yield):
            for block in blocks:
                node, placement, dimensions = _block(block)
                require(dimensions in (None, len(self.lengths)), "a block has other dimensions")
                self._compare(array_shape(node), self._count(placement))

    def _count(self, placement: Node) -> int:
        if isinstance(placement, Obj) and placement.cls.name == "slice":
            self.slices.append(_range(placement))
            return len(self.slices[-1])
        places = stored(placement, "the places of a block")
        places.expect(INDEX, None)
        self.arrays.append(places)
        return places.size

    def _compare(self, shape: tuple[int, ...] | None, count: int) -> None:
        if shape is None:
            return
        is_column = len(self.lengths) == 2 and len(shape) == 1  # an array of pandas
        told = (1, *shape) if is_column else shape
        wanted = (count, *self.lengths[1:])
        fits = len(told) == len(wanted) and all(
            want in (None, have) for want, have in zip(wanted, told, strict=True)
        )
        require(fits, f"a block has the shape {shape}, and its place in the frame {wanted}")

    def take(self, total: int) -> Rule:
        """Take the places of slices; `total` is the number of all places."""
        while (yield):
            self.taken = bytearray(total)
            for places in self.slices:
                if places and not 0 <= places[0] <= places[-1] < total:
                    raise Broken(f"a block has the place {places[-1]:,} of {total:,}")
                part = slice(places.start, places.stop, places.step)
                require(1 not in self.taken[part], "two blocks of a frame have the same place")
                self.taken[part] = b"\1" * len(places)

    def take_each(self, places: Stored) -> Rule:
        """Take the places of an array."""
        taken = self.taken
        while piece := (yield):
            for place in values(piece, places):
                if not 0 <= place < len(taken):
                    raise Broken(f"a block has the place {place:,} of {len(taken):,}")
                require(not taken[place], "two blocks of a frame have the same place")
                taken[place] = 1


def _parts(made: Obj) -> tuple[list[Node], list[Node]]:
    """The blocks and the axes."""
    is_called = made_class(made) is made.cls and bool(made.args)
    if is_called and len(made.args) == 2 and not made.states:  # since pandas 1.3
        blocks, axes = made.args
    else:
        state = made.states[0] if len(made.states) == 1 and not is_called else None
        extra = state[3] if isinstance(state, tuple) and len(state) == 4 else None
        told = dict_get(extra, _SINCE) if isinstance(extra, Dct) else None
        if not isinstance(told, Dct):
            raise Broken("the blocks of a frame are not in a form that pandas writes")
        blocks, axes = dict_get(told, "blocks"), dict_get(told, "axes")
    if not isinstance(blocks, list | tuple) or not isinstance(axes, list | tuple):
        raise Broken("the blocks of a frame are not in a form that pandas writes")
    return list(blocks), list(axes)


def _block(node: Node) -> tuple[Node, Node, int | None]:
    """The values of a block, its places, and its number of dimensions if it tells that."""
    if isinstance(node, Obj) and len(node.args) == 3:
        return node.args[0], node.args[1], integer(node.args[2])
    if isinstance(node, Dct) and len(node.keys) == 2:
        return dict_get(node, "values"), dict_get(node, "mgr_locs"), None
    raise Broken("a block is not in a form that pandas writes")


def _range(made: Obj) -> range:
    """The places of a slice in ascending order."""
    start, stop, step = map(integer, made.args) if len(made.args) == 3 else (None, None, None)
    if start is None or start < 0 or not step:
        raise Broken("the places of a block are no slice that pandas writes")
    if step < 0 and made.args[1] is None:
        stop = -1
    elif stop is None or stop < 0:
        raise Broken("the places of a block are no slice that pandas writes")
    found = range(start, stop, step)
    return found if step > 0 else found[::-1]
