"""Keyword arguments that a file gives to the functions of estimators."""

from __future__ import annotations

from collections.abc import Iterator

from ..allowlist import contract_name, standing
from ..arrays import dict_get, scalar
from ..contracts import class_key
from ..nodes import Dct, Node, Obj
from .names import roles_of
from .positions import KEYWORDS
from .values import function_key

WRITING = {"out", "where"}
"""Keywords of numpy's functions that no model needs: `out` is written to, so that one request could
read of another, and what `where` leaves out is memory that was not cleared.
"""

_DICTS = {"defaultdict", "ordered"}


def wrong(where: str, node: Node) -> str | None:
    """Return what is wrong with the keywords in a position or in a `partial`, if anything."""
    if isinstance(node, Obj) and contract_name(node.cls.key) == "partial":
        parts = [part for state in node.states if isinstance(state, tuple) for part in state]
        return next(filter(None, map(_written, filter(_is_dict, parts))), None)
    if where not in KEYWORDS or not isinstance(node, Dct | Obj) or _is_unknown(node):
        return None
    return _written(node) if _is_dict(node) else "keywords that are no dict"


def _is_dict(node: Node) -> bool:
    if not isinstance(node, Obj):
        return isinstance(node, Dct)
    is_old = bool(node.args) and isinstance(node.args[-1], Dct)  # of protocols 0 and 1
    return is_old or contract_name(node.cls.key) in _DICTS or class_key(node).endswith(":Bunch")


def _is_unknown(node: Node) -> bool:
    return isinstance(node, Obj) and standing(class_key(node)) == "unknown"


def _written(node: Node) -> str | None:
    for key in _keys(node):
        if type(key) is not str:
            return "keywords that are no plain text"
        if key in WRITING:
            return f"a function with the keyword {key}"
    return None


def _keys(node: Node) -> Iterator[Node]:
    if isinstance(node, Dct):
        yield from node.keys
    elif isinstance(node, Obj):
        yield from _keys(node.pairs)
        for argument in node.args:
            yield from _keys(argument)
            if isinstance(argument, list | tuple):  # pairs
                yield from (pair[0] for pair in argument if isinstance(pair, list | tuple) and pair)


def reduces_all(attributes: dict[str, Node]) -> bool:
    """Return whether a FunctionTransformer makes one value of all rows."""
    key = function_key(attributes.get("func"))
    if key is None or roles_of(key) != {"reduction"}:
        return False
    found = attributes.get("kw_args")
    if not isinstance(found, Dct):
        return True
    axis, keeps = scalar(dict_get(found, "axis")), scalar(dict_get(found, "keepdims"))
    return axis != 1 and keeps is not True
