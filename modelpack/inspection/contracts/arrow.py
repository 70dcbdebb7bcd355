"""Contracts of pyarrow, which stores the texts of pandas."""

from __future__ import annotations

from ..nodes import DictNode, Node, ObjectNode, is_bare
from .kinds import (
    Contract,
    call_contract,
    either,
    flag,
    integer,
    literal,
    nothing,
    raw,
    result_of,
    tuple_of,
    unsigned_integer,
)

_STATE = {"_cache", "_data", "_dtype", "_pa_array", "_readonly"}


def _buffers(node: Node) -> bool:
    """A validity bitmap, or None, the offsets of the texts, and their bytes."""
    if not isinstance(node, list) or len(node) != 3:
        return False
    return all(each is None or _buffer(each) for each in node) and None not in node[1:]


def _empty(node: Node) -> bool:
    return isinstance(node, list) and not node


def _strings(node: ObjectNode) -> str | None:
    if not is_bare(node) or len(node.states) != 1:
        return "it is not constructed as pandas does"
    state = node.states[0]
    if not isinstance(state, DictNode) or not {*map(type, state.keys)} <= {str}:
        return "its state is not a dict"
    found = dict(zip(state.keys, state.values, strict=True))
    arrays = [found[name] for name in ("_data", "_pa_array") if name in found]
    cache = found.get("_cache")
    fine = (
        len(found) == len(state.keys)
        and found.keys() <= _STATE
        and len(arrays) == 1
        and flag(found.get("_readonly", False))
        and result_of("arrow_array")(arrays[0])
        and result_of("column_type")(found.get("_dtype"))
        and (cache is None or (isinstance(cache, DictNode) and not cache.keys))
    )
    return None if fine else "its state is not one that pandas writes"


_buffer = result_of("arrow_buffer")
_type = result_of("arrow_type")

CALLS: dict[str, Contract] = {
    "arrow_array": call_contract(
        tuple_of(
            _type,
            unsigned_integer,
            integer,
            unsigned_integer,
            _buffers,
            either(nothing, _empty),
            nothing,
        )
    ),
    "arrow_buffer": call_contract(raw),
    "arrow_type": call_contract(literal("large_string", "string")),
}
CLASSES: dict[str, Contract] = {"arrow_strings": _strings}
