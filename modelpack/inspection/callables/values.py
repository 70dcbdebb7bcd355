"""What attributes hold: functions, and the containers that functions are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..allowlist import contract_name, standing
from ..contracts import class_key, constructed_class
from ..nodes import COMPOSITE, DictNode, Global, Items, Node, ObjectNode
from ..pickle.ndarrays import dict_get, scalar
from .names import KEYWORDS, roles_of

HOLDERS = (*COMPOSITE, Global)
"""The nodes that are names or may hold some."""

_HOLDERS = frozenset(HOLDERS)
_CONTAINERS = {"collection", "counter", "deque", "fields", "ordered"}


def attributes(made: ObjectNode) -> Iterator[tuple[str, Node]]:
    """What its states set, in the dict of the object and past it; of a Bunch also its items."""
    if class_key(made).endswith(":Bunch"):
        is_old = constructed_class(made) is not made.cls and made.args  # of protocols 0 and 1
        yield from _texts(made.args[-1] if is_old else made.pairs)
    for state in made.states:
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            yield from _texts(part)


def _texts(part: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(part, DictNode):
        pairs = zip(part.keys, part.values, strict=True)
        yield from ((name, value) for name, value in pairs if type(name) is str)


def function_key(node: Node) -> str | None:
    """The "module:name" of a name, however it is written; None of other values."""
    if isinstance(node, Global):
        return node.key
    if (
        isinstance(node, ObjectNode)
        and contract_name(node.cls.key) == "ufunc"
        and len(node.args) == 2
    ):
        return ":".join(map(str, node.args))
    return None


def held(node: Node) -> Iterator[tuple[str | None, Node]]:
    """The values in a container or a `partial`, each with its key if it has one that is text.
    Values in arrays are left out: nothing takes a function out of one to call it.
    """
    if isinstance(node, list | tuple):
        yield from _listed(node)
    elif isinstance(node, Items):
        yield from _listed(node.values)
    elif isinstance(node, DictNode):
        if has_holders(node.values):
            keys = (key if type(key) is str else None for key in node.keys)
            yield from zip(keys, node.values, strict=True)
        yield from _listed(node.keys)
    elif isinstance(node, ObjectNode):
        yield from _listed(node.appends or ())
        yield from held(node.pairs) if node.pairs else ()
        contract = contract_name(node.cls.key)
        if contract in _CONTAINERS:
            yield from _listed(node.args)
        elif contract == "partial":
            yield from _listed((*node.args, *node.states))
        elif contract == "reconstructor":  # a dict or list of protocols 0 and 1
            yield from held(node.args[-1]) if node.args else ()


def _listed(values: list[Node] | tuple[Node, ...]) -> Iterator[tuple[None, Node]]:
    if has_holders(values):
        yield from ((None, value) for value in values)


def has_holders(values: Iterable[Node]) -> bool:
    """Return whether some of the values are names or may hold some."""
    # Most values of large files are scalars, and their types are compared faster than they.
    return not _HOLDERS.isdisjoint(map(type, values))


WRITING = {"out", "where"}
"""Keywords of numpy's functions that no model needs: `out` is written to, so that one request could
read of another, and what `where` leaves out is memory that was not cleared.
"""

_DICTS = {"defaultdict", "ordered"}


def wrong(where: str, node: Node) -> str | None:
    """Return what is wrong with the keywords in a position or in a `partial`, if anything."""
    if isinstance(node, ObjectNode) and contract_name(node.cls.key) == "partial":
        parts = [part for state in node.states if isinstance(state, tuple) for part in state]
        return next(filter(None, map(_written, filter(_is_dict, parts))), None)
    if where not in KEYWORDS or not isinstance(node, DictNode | ObjectNode) or _is_unknown(node):
        return None
    return _written(node) if _is_dict(node) else "keywords that are no dict"


def _is_dict(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return isinstance(node, DictNode)
    is_old = bool(node.args) and isinstance(node.args[-1], DictNode)  # of protocols 0 and 1
    return is_old or contract_name(node.cls.key) in _DICTS or class_key(node).endswith(":Bunch")


def _is_unknown(node: Node) -> bool:
    return isinstance(node, ObjectNode) and standing(class_key(node)) == "unknown"


def _written(node: Node) -> str | None:
    for key in _keys(node):
        if type(key) is not str:
            return "keywords that are no plain text"
        if key in WRITING:
            return f"a function with the keyword {key}"
    return None


def _keys(node: Node) -> Iterator[Node]:
    if isinstance(node, DictNode):
        yield from node.keys
    elif isinstance(node, ObjectNode):
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
    if not isinstance(found, DictNode):
        return True
    axis, keeps = scalar(dict_get(found, "axis")), scalar(dict_get(found, "keepdims"))
    return axis != 1 and keeps is not True
