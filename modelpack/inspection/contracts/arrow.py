"""Contracts of pyarrow, which stores texts and columns of pandas."""

from __future__ import annotations

import re

from ..nodes import DictNode, Global, Node, ObjectNode, class_key, is_bare
from ..pickle.dtypes import parse
from .builtin import zone_key
from .kinds import (
    Contract,
    Kind,
    call_contract,
    either,
    flag,
    integer,
    literal,
    nothing,
    raw,
    result_of,
    text,
    unsigned_integer,
)

_STATE = {"_cache", "_data", "_dtype", "_pa_array", "_readonly"}
TEXTS = {"string": 4, "large_string": 8, "binary": 4, "large_binary": 8}
"""Types of variable size -> bytes of an offset."""

_UNITS = ("s", "ms", "us", "ns")
_WIDTHS = {
    "bool": 1, "int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16,
    "uint32": 32, "uint64": 64, "halffloat": 16, "float": 32, "double": 64, "date32[day]": 32,
    "date64[ms]": 64, "time32[s]": 32, "time32[ms]": 32, "time64[us]": 64, "time64[ns]": 64,
    **{f"{kind}[{unit}]": 64 for kind in ("duration", "timestamp") for unit in _UNITS},
}  # fmt: skip
_EMPTY = "null"
_OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)
_PRECISION = 38


def type_name(node: Node) -> str:
    """Return the name of a type that follows its contract, such as "int64"; "" for a decimal."""
    is_alias = isinstance(node, ObjectNode) and len(node.args) == 1
    return str(node.args[0]) if is_alias else ""


def bits(node: Node) -> int:
    """Return the size of a value of a type of fixed size. That of null is 0."""
    if result_of("arrow_decimal")(node):
        return 128
    return 64 if result_of("arrow_timestamp")(node) else _WIDTHS.get(type_name(node), 0)


def _array(node: ObjectNode) -> str | None:
    """`_restore_array((type, length, missing, offset, buffers, children, dictionary))`."""
    fine = (
        len(node.args) == 1
        and node.kwargs is None
        and not node.states
        and isinstance(node.args[0], tuple)
        and len(node.args[0]) == len(_PARTS)
        and all(kind(part) for kind, part in zip(_PARTS, node.args[0], strict=True))
        and _are_buffers(node.args[0][0], node.args[0][4])
    )
    return None if fine else "its arguments are not those that picklers write"


def _are_buffers(kind: Node, node: list[Node]) -> bool:
    """A validity bitmap, or None, and the offsets and bytes of texts, or the values."""
    name = type_name(kind)
    count = 3 if name in TEXTS else 1 if name == _EMPTY else 2
    fine = len(node) == count and all(each is None or _buffer(each) for each in node)
    return fine and None not in node[1:]


def _empty(node: Node) -> bool:
    return isinstance(node, list) and not node


def _list(node: Node) -> bool:
    return isinstance(node, list)


def _zone(node: Node) -> bool:
    return node is None or zone_key(node) or (text(node) and _OFFSET.fullmatch(node) is not None)


def _column_type(node: ObjectNode) -> str | None:
    """ArrowDtype of pandas: a type of Arrow, and what pandas has computed from it."""
    state = node.states[0] if is_bare(node) and len(node.states) == 1 else None
    pairs = zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
    found = {key: value for key, value in pairs if isinstance(key, str)}
    fine = (
        isinstance(state, DictNode)
        and len(found) == len(state.keys)
        and found.keys() <= {"_cache", "_storage", "pyarrow_dtype", "storage"}
        and _type(found.get("pyarrow_dtype"))
        and all(found.get(name, "pyarrow") == "pyarrow" for name in ("storage", "_storage"))
        and _computed(found.get("_cache"))
    )
    return None if fine else "its state is not one that pandas writes"


def _computed(node: Node) -> bool:
    if not isinstance(node, DictNode):
        return node is None
    pairs = zip(node.keys, node.values, strict=True)
    return all(isinstance(key, str) and _COMPUTED.get(key, _never)(value) for key, value in pairs)


def _never(_: Node) -> bool:
    return False


def _is_index(node: Node) -> bool:
    return isinstance(node, Global) and node.key in {
        "pandas:Index",
        "pandas.core.indexes.base:Index",
    }


def _numpy_type(node: Node) -> bool:
    return isinstance(node, ObjectNode) and parse(node) is not None


_COMPUTED: dict[str, Kind] = {
    "index_class": _is_index,
    "itemsize": unsigned_integer,
    "kind": text,
    "name": text,
    "numpy_dtype": _numpy_type,
}
"""Properties that pandas keeps in the type of a column. Another key may be that of a class."""


def _column(node: ObjectNode) -> str | None:
    """ArrowExtensionArray of pandas: an array, or chunks, of the type of the column."""
    return _strings(node, _is_column_type)


def _is_column_type(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node) in _COLUMN_TYPES


def _strings(node: ObjectNode, is_type: Kind | None = None) -> str | None:
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
        and (is_type or _is_text_type)(found.get("_dtype"))
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
    kinds = {_identity(array.args[0][0]) for array in arrays if _is_tuple(array)}
    return None if kinds <= {_identity(kind)} else "its arrays are of several types"


def _is_tuple(node: ObjectNode) -> bool:
    return len(node.args) == 1 and isinstance(node.args[0], tuple) and bool(node.args[0])


def _identity(node: Node) -> tuple[str, str]:
    return (node.cls.key, repr(node.args)) if isinstance(node, ObjectNode) else ("", "")


_TEXT_TYPES = {"pandas:StringDtype", "pandas.core.arrays.string_:StringDtype"}
_buffer = result_of("arrow_buffer")
_COLUMN_TYPES = {
    "pandas:ArrowDtype",
    "pandas.core.arrays.arrow.dtype:ArrowDtype",
    "pandas.core.dtypes.dtypes:ArrowDtype",
}
_type = result_of("arrow_type", "arrow_timestamp", "arrow_decimal")
_PARTS: tuple[Kind, ...] = (
    _type,
    unsigned_integer,
    integer,
    unsigned_integer,
    _list,
    either(nothing, _empty),
    nothing,
)

CALLS: dict[str, Contract] = {
    "arrow_array": _array,
    "arrow_buffer": call_contract(raw),
    "arrow_chunks": _chunks,
    "arrow_decimal": call_contract(literal(*range(1, _PRECISION + 1)), literal(*range(_PRECISION))),
    "arrow_timestamp": call_contract(literal(*_UNITS), _zone),
    "arrow_type": call_contract(literal(*TEXTS, *_WIDTHS, _EMPTY)),
}
CLASSES: dict[str, Contract] = {
    "arrow_column": _column,
    "arrow_column_type": _column_type,
    "arrow_strings": _strings,
}
