"""Contracts of pyarrow, which stores the texts of pandas."""

from __future__ import annotations

from ..nodes import DictNode, Node, ObjectNode, class_key, is_bare
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
        and result_of("arrow_array", "arrow_chunks")(arrays[0])
        and _is_text_type(found.get("_dtype"))
        and (cache is None or (isinstance(cache, DictNode) and not cache.keys))
    )
    return None if fine else "its state is not one that pandas writes"


def _is_text_type(node: Node) -> bool:
    # Before pandas 3, an object with a state.
    is_object = isinstance(node, ObjectNode) and class_key(node) in _TEXT_TYPES
    return is_object or result_of("column_type")(node)


def _chunks(node: ObjectNode) -> str | None:
    """`chunked_array(arrays, type)`, as pyarrow saves the texts of pandas 1.3 to 1.5."""
    if len(node.args) != 2 or node.kwargs is not None or node.states:
        return "pyarrow does not call it this way"
    arrays, kind = node.args
    fine = _type(kind) and isinstance(arrays, list) and all(map(result_of("arrow_array"), arrays))
    if not fine:
        return "its arguments are not those that picklers write"
    kinds = {_type_name(array.args[0][0]) for array in arrays if _is_tuple(array)}
    return None if kinds <= {_type_name(kind)} else "its arrays are of several types"


def _is_tuple(node: ObjectNode) -> bool:
    return len(node.args) == 1 and isinstance(node.args[0], tuple) and bool(node.args[0])


def _type_name(node: Node) -> str | None:
    is_type = isinstance(node, ObjectNode) and len(node.args) == 1
    return str(node.args[0]) if is_type else None


_TEXT_TYPES = {"pandas:StringDtype", "pandas.core.arrays.string_:StringDtype"}
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
    "arrow_chunks": _chunks,
    "arrow_type": call_contract(literal("large_string", "string")),
}
CLASSES: dict[str, Contract] = {"arrow_strings": _strings}
