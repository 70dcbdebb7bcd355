"""Pickled pandas objects: the names of their rows and columns, and the values of columns."""

from __future__ import annotations

from collections.abc import Iterator

from ..arrays import Array, dict_get, view
from ..contracts import made_class
from ..nodes import Dct, Global, Node, Obj, within
from .parts import as_dict, attributes

_LEVELS = 5
"""How deep in a Categorical its dtype may be."""


def axes(node: Node) -> list[Node]:
    """The indexes of a DataFrame (columns, rows) or of a Series (rows); none of anything else."""
    found = attributes(node)
    manager = found.get("_mgr", found.get("_data"))
    if not isinstance(manager, Obj):
        return []
    state = manager.states[-1] if manager.states else ()  # as pandas before 1.3 wrote it
    told = manager.args[1:2] or (state[:1] if isinstance(state, tuple) else ())
    return told[0] if told and isinstance(told[0], list) else []


def length(index: Node) -> int | None:
    """The number of entries of an index; None where the file does not tell it."""
    array = view(index)
    if array is not None:
        return array.size
    facts = as_dict(index.args[1]) if isinstance(index, Obj) and len(index.args) == 2 else {}
    start, stop, step = (facts.get(name) for name in ("start", "stop", "step"))
    if not (type(start) is type(stop) is type(step) is int and step):
        return None
    return max(0, -((start - stop) // step))  # as len(range(start, stop, step))


def columns_of(frame: Node, wanted: set[str]) -> Iterator[tuple[str, Array, int | None]]:
    """Yield the columns of a DataFrame that have one of these names: the name, the array of the
    block, and the place in the block; of a Categorical, the array of its categories and None.
    """
    found = axes(frame)
    array = view(found[0]) if len(found) == 2 else None
    names = (array.values() if array else None) or []
    for node in _blocks(frame):
        values, places = _block(node)
        kind = _categories(values)
        block = view(values if kind is None else kind)
        for place, column in enumerate(places if block else ()):
            if block and column < len(names) and names[column] in wanted:
                yield names[column], block, None if kind is not None else place


def _categories(node: Node) -> Node:
    """Return the index of the categories of a Categorical; None of any other array."""
    cls = made_class(node) if isinstance(node, Obj) else None
    told = node.args[0] if isinstance(node, Obj) and node.args else None
    if not any(isinstance(c, Global) and c.name == "Categorical" for c in (cls, told)):
        return None
    found = (attributes(part).get("categories") for part in within(node, _LEVELS))
    return next((index for index in found if index is not None), None)


def _blocks(frame: Node) -> list[Node]:
    state = attributes(frame)
    manager = state.get("_mgr", state.get("_data"))
    if not isinstance(manager, Obj):
        return []
    if len(manager.args) == 2:
        told = manager.args[0]
    else:  # as pandas before 1.3 wrote it
        last = manager.states[-1] if manager.states else ()
        extra = last[3] if isinstance(last, tuple) and len(last) == 4 else None
        inner = dict_get(extra, "0.14.1") if isinstance(extra, Dct) else None
        told = dict_get(inner, "blocks") if isinstance(inner, Dct) else None
    return list(told) if isinstance(told, list | tuple) else []


def _block(node: Node) -> tuple[Node, list[int]]:
    """Return the values of a block and the places of its columns."""
    if isinstance(node, Obj) and len(node.args) == 3:
        values, placement = node.args[:2]
    elif isinstance(node, Dct):
        values, placement = dict_get(node, "values"), dict_get(node, "mgr_locs")
    else:
        return None, []
    if isinstance(placement, Obj) and placement.cls.name == "slice" and len(placement.args) == 3:
        start, stop, step = placement.args
        is_sound = type(start) is type(stop) is type(step) is int and start >= 0 and step != 0
        return values, list(range(start, stop, step)) if is_sound else []
    array = view(placement)
    places = (array.values() if array else None) or []
    return values, [place for place in places if type(place) is int and place >= 0]
