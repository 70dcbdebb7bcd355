"""The indexes of pickled pandas objects: the names of their rows and columns."""

from __future__ import annotations

from ..arrays import view
from ..nodes import Node, Obj
from .parts import as_dict, attributes


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
