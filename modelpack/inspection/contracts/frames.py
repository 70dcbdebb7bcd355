"""Contracts of pandas and statsmodels: indexes, blocks, dates and times, types of columns."""

from __future__ import annotations

from ..allowlist import standing
from ..nodes import DictNode, Node, ObjectNode, class_key, is_bare
from .kinds import (
    Contract,
    Kind,
    all_of,
    array,
    call_contract,
    dtype,
    either,
    flag,
    global_named,
    integer,
    is_zone_path,
    literal,
    nothing,
    number,
    result_of,
    text,
    unsigned_integer,
)

# Keywords of the constructors of indexes, as `Index.__reduce__` writes them.
_INDEX_KEYWORDS = {
    "categories", "closed", "codes", "copy", "data", "dtype", "freq", "labels", "left", "levels",
    "name", "names", "ordered", "right", "sortorder", "start", "step", "stop", "tz",
    "verify_integrity",
}  # fmt: skip


def _index(node: ObjectNode) -> str | None:
    # `_new_Index(cls, keywords)` calls `cls(**keywords)`.
    if len(node.args) != 2 or node.kwargs is not None or node.states:
        return "pandas does not call it this way"
    cls, keywords = node.args
    if not _INDEX(cls):
        return "its class is not an index of pandas"
    fine = isinstance(keywords, DictNode) and all(
        isinstance(key, str) and key in _INDEX_KEYWORDS for key in keywords.keys
    )
    if not fine:
        return "its keywords are not those that an index writes"
    found = dict(zip(keywords.keys, keywords.values, strict=True))
    zones = (found.get(key) for key in ("dtype", "freq", "tz"))
    return "its time zone is the path of a file" if any(map(is_zone_path, zones)) else None


def _extension(node: ObjectNode) -> str | None:
    # Cython generates one function for the base class of all arrays; the first argument is the
    # class to build.
    if len(node.args) != 3 or node.kwargs is not None or len(node.states) != 1:
        return "Cython does not call it this way"
    cls, checksum, state = node.args
    fine = (_ARRAY(cls) or _CATEGORICAL(cls)) and unsigned_integer(checksum) and state is None
    return (
        None
        if fine and isinstance(node.states[0], tuple)
        else "it does not build an array of pandas"
    )


def _attributes(node: ObjectNode, kinds: dict[str, Kind]) -> str | None:
    """Check the one state of an object: a dict with attributes of these kinds."""
    state = node.states[0] if is_bare(node) and len(node.states) == 1 else None
    pairs = zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
    fine = isinstance(state, DictNode) and all(
        isinstance(key, str) and kinds.get(key, _never)(value) for key, value in pairs
    )
    return None if fine else "its state is not one that pandas writes"


def _sparse_column(node: ObjectNode) -> str | None:
    return _attributes(node, _SPARSE_COLUMN)


def _sparse_type(node: ObjectNode) -> str | None:
    return _attributes(node, {"_dtype": dtype, "_fill_value": _FILL})


def _interval_type(node: ObjectNode) -> str | None:
    return _attributes(node, {"subtype": either(dtype, _zoned), "closed": _CLOSED})


def _is_sparse_type(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node) in _SPARSE_TYPES


def _zoned(node: Node) -> bool:
    return isinstance(node, ObjectNode) and class_key(node) in _ZONED_TYPES


def _formula(node: ObjectNode) -> str | None:
    # modelpack.inspection.formulas checks what `__setstate__` evaluates.
    fine = all(isinstance(state, DictNode) for state in node.states)
    return None if fine else "its state is not a dict"


def _statsmodels_cache(node: ObjectNode) -> str | None:
    """Check the cache of results before statsmodels 0.10, a dict that resets dependent values."""
    if not is_bare(node):
        return "it is constructed with arguments"
    fine = all(
        isinstance(state, DictNode) and state.keys == ["_resetdict"] and _is_empty(state.values[0])
        for state in node.states
    )
    return None if fine else "its state is not one that statsmodels writes"


def _is_empty(node: Node) -> bool:
    return isinstance(node, DictNode) and not node.keys


def _values(node: Node) -> bool:
    """An array of numpy or pandas, or an object of a class that the user has to trust.

    pandas reads attributes of the values of a block before it compares their shape.
    """
    if array(node) or not isinstance(node, ObjectNode):
        return array(node)
    key = class_key(node)
    return key.startswith(("pandas.", "pandas:")) or standing(key) == "unknown"


def _offset_state(node: ObjectNode) -> str | None:
    """Check the state of an offset of pandas 1.0 and before, which are Python classes."""
    for state in node.states:
        pairs = zip(state.keys, state.values, strict=True) if isinstance(state, DictNode) else ()
        fine = isinstance(state, DictNode) and all(
            isinstance(key, str) and _OFFSET_STATE.get(key, _never)(value) for key, value in pairs
        )
        if not fine:
            return "its state is not one that pandas writes"
    return None if is_bare(node) else "it is constructed with arguments"


def _never(_: Node) -> bool:
    return False


def _offset(node: Node) -> bool:
    # A Python class before pandas 1.1; a Cython class, rebuilt by a call, since then.
    return isinstance(node, ObjectNode) and class_key(node).startswith(_OFFSETS)


def _plain(node: Node) -> bool:
    return text(node) and not is_zone_path(node)


def _anchor(node: Node) -> bool:
    """A month or a day of the week, with which compiled code looks up numbers of days."""
    return type(node) is int and 0 <= node <= _MONTHS


def _cache(node: Node) -> bool:
    """The name and parameters of an offset, which pandas computes from its attributes."""
    if not isinstance(node, DictNode) or not all(map(text, node.keys)):
        return False
    return all(text(value) or _is_parameters(value) for value in node.values)


def _is_parameters(node: Node, level: int = 0) -> bool:
    if isinstance(node, tuple):
        return level < _MAX_DEPTH and all(_is_parameters(part, level + 1) for part in node)
    return node is None or type(node) in (str, int, bool)


_MONTHS = 12
_MAX_DEPTH = 4
_OFFSET_STATE: dict[str, Kind] = {
    "n": integer,
    "normalize": flag,
    "_cache": _cache,
    "_offset": result_of("duration"),
    "month": _anchor,
    "startingMonth": _anchor,
    "weekday": either(nothing, _anchor),
}
_OFFSETS = ("pandas.tseries.offsets:", "pandas._libs.tslibs.offsets:")
_INDEX = global_named("pandas", "Index")
_ARRAY = global_named("pandas", "Array")
_CATEGORICAL = global_named("pandas", "Categorical")
_END = either(number, text, result_of("timestamp", "timedelta"))
_ZONE = either(nothing, result_of("timezone", "nothing", "named_zone", "fixed_zone", "zone_file"))

_FILL = either(nothing, number, flag, text, result_of("scalar", "timestamp", "timedelta", "none"))
_CLOSED = either(nothing, literal("left", "right", "both", "neither"))
_SPARSE_COLUMN: dict[str, Kind] = {
    "_sparse_index": result_of("sparse_index", "sparse_blocks"),
    "_sparse_values": array,
    "_dtype": _is_sparse_type,
    "_readonly": flag,
}
_SPARSE_TYPES = {
    "pandas:SparseDtype",
    "pandas.core.arrays.sparse:SparseDtype",
    "pandas.core.arrays.sparse.dtype:SparseDtype",
    "pandas.core.dtypes.dtypes:SparseDtype",
}
_ZONED_TYPES = {"pandas:DatetimeTZDtype", "pandas.core.dtypes.dtypes:DatetimeTZDtype"}

CALLS: dict[str, Contract] = {
    "sparse_blocks": call_contract(unsigned_integer, array, array),
    "sparse_index": call_contract(unsigned_integer, array),
    "index": _index,
    "extension": _extension,
    "block": call_contract(_values, either(result_of("slice"), array), unsigned_integer),
    "manager": call_contract(all_of(result_of("block")), all_of(result_of("index"))),
    "timestamp": call_contract(integer, either(nothing, _offset), _ZONE, integer, required=2),
    "timedelta": call_contract(integer, unsigned_integer, required=1),
    "interval": call_contract(_END, _END, text),
    "period": call_contract(nothing, _offset, integer),
    "offset": call_contract(
        integer, flag, either(nothing, _anchor, result_of("duration")), required=0
    ),
    "none": call_contract(nothing),
    "column_type": call_contract(
        either(_plain, nothing, _offset),
        either(number, _plain, global_named("pandas", "NA")),
        required=0,
    ),
}
CLASSES: dict[str, Contract] = {
    "formula": _formula,
    "interval_type": _interval_type,
    "offset": _offset_state,
    "sparse_column": _sparse_column,
    "sparse_type": _sparse_type,
    "statsmodels_cache": _statsmodels_cache,
}
