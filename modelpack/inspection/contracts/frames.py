"""Callables of pandas and statsmodels: indexes, blocks, moments, types of columns."""

from __future__ import annotations

from ..allowlist import standing
from ..nodes import DictNode, Node, ObjectNode, class_key
from .kinds import (
    Contract,
    all_of,
    array,
    call_contract,
    either,
    flag,
    global_named,
    integer,
    is_zone_path,
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


def _index(made: ObjectNode) -> str | None:
    # The first argument is called with the second as its keywords.
    if len(made.args) != 2 or made.kwargs is not None or made.states:
        return "it is not called as pandas calls it"
    cls, keywords = made.args
    if not _INDEX(cls):
        return "its class is no index of pandas"
    fine = isinstance(keywords, DictNode) and all(
        isinstance(key, str) and key in _INDEX_KEYWORDS for key in keywords.keys
    )
    if not fine:
        return "it is given keywords that an index does not write"
    found = dict(zip(keywords.keys, keywords.values, strict=True))
    zones = (found.get(key) for key in ("dtype", "freq", "tz"))
    return "its time zone is the path of a file" if any(map(is_zone_path, zones)) else None


def _extension(made: ObjectNode) -> str | None:
    # Cython's function for the base class of many: the class is any array of pandas.
    if len(made.args) != 3 or made.kwargs is not None or len(made.states) != 1:
        return "it is not called as Cython calls it"
    cls, checksum, state = made.args
    fine = (_ARRAY(cls) or _CATEGORICAL(cls)) and unsigned_integer(checksum) and state is None
    return None if fine and isinstance(made.states[0], tuple) else "it makes no array of pandas"


def _formula(made: ObjectNode) -> str | None:
    # modelpack.inspection.formulas checks what `__setstate__` evaluates.
    return (
        None
        if all(isinstance(state, DictNode) for state in made.states)
        else "its state is no dict"
    )


def _values(node: Node) -> bool:
    """An array of numpy, one of pandas, or an object that the user has to trust anyway: pandas
    reads attributes of the values before it compares their shape with the place.
    """
    if array(node) or not isinstance(node, ObjectNode):
        return array(node)
    key = class_key(node)
    return key.startswith(("pandas.", "pandas:")) or standing(key) == "unknown"


def _offset(node: Node) -> bool:
    # A class of Python before pandas 1.1, since then one of Cython, which is called.
    return isinstance(node, ObjectNode) and class_key(node).startswith(_OFFSETS)


def _plain(node: Node) -> bool:
    return text(node) and not is_zone_path(node)


_OFFSETS = ("pandas.tseries.offsets:", "pandas._libs.tslibs.offsets:")
_INDEX = global_named("pandas", "Index")
_ARRAY = global_named("pandas", "Array")
_CATEGORICAL = global_named("pandas", "Categorical")
_END = either(number, text, result_of("timestamp", "timedelta"))
_ZONE = either(nothing, result_of("timezone", "nothing"))

CALLS: dict[str, Contract] = {
    "index": _index,
    "extension": _extension,
    "block": call_contract(_values, either(result_of("slice"), array), unsigned_integer),
    "manager": call_contract(all_of(result_of("block")), all_of(result_of("index"))),
    "timestamp": call_contract(integer, either(nothing, _offset), _ZONE, integer, least=2),
    "timedelta": call_contract(integer, unsigned_integer, least=1),
    "interval": call_contract(_END, _END, text),
    "period": call_contract(nothing, _offset, integer),
    "offset": call_contract(integer, flag, least=0),
    "none": call_contract(nothing),
    "column_type": call_contract(
        either(_plain, nothing, _offset),
        either(number, _plain, global_named("pandas", "NA")),
        least=0,
    ),
}
CLASSES: dict[str, Contract] = {"formula": _formula}
