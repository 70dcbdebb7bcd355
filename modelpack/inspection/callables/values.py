"""Values of attributes: functions, and the containers and keywords around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..allowlist import contract_name, standing
from ..contracts import class_key, constructed_class
from ..nodes import COMPOSITE, DictNode, Global, Items, Node, ObjectNode, state_attributes
from ..pickle.ndarrays import dict_get, scalar
from .names import KEYWORDS, roles_of

HOLDERS = (*COMPOSITE, Global)
"""The nodes that are names or may contain names."""

_HOLDERS = frozenset(HOLDERS)
_CONTAINERS = {"collection", "counter", "deque", "fields", "ordered"}


def attributes(node: ObjectNode) -> Iterator[tuple[str, Node]]:
    """Yield the attributes that the states of an object set, and the items of a Bunch."""
    if class_key(node).endswith(":Bunch"):
        is_old = constructed_class(node) is not node.cls and node.args  # of protocols 0 and 1
        yield from _text_keys(node.args[-1] if is_old else node.pairs)
    yield from state_attributes(node)


def _text_keys(part: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(part, DictNode):
        pairs = zip(part.keys, part.values, strict=True)
        yield from ((name, value) for name, value in pairs if type(name) is str)


def function_key(node: Node) -> str | None:
    """Return the "module:name" of a function or type, or None for any other value."""
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
    """Yield the values in a container or a `partial`, each with its key if that is text.

    Values in arrays are left out: no library calls a function in an array.
    """
    if isinstance(node, list | tuple):
        yield from _without_keys(node)
    elif isinstance(node, Items):
        yield from _without_keys(node.values)
    elif isinstance(node, DictNode):
        if has_holders(node.values):
            keys = (key if type(key) is str else None for key in node.keys)
            yield from zip(keys, node.values, strict=True)
        yield from _without_keys(node.keys)
    elif isinstance(node, ObjectNode):
        yield from _without_keys(node.appends or ())
        yield from held(node.pairs) if node.pairs else ()
        contract = contract_name(node.cls.key)
        if contract in _CONTAINERS:
            yield from _without_keys(node.args)
        elif contract == "partial":
            yield from _without_keys((*node.args, *node.states))
        elif contract == "reconstructor":  # a dict or list of protocols 0 and 1
            yield from held(node.args[-1]) if node.args else ()


def _without_keys(values: list[Node] | tuple[Node, ...]) -> Iterator[tuple[None, Node]]:
    if has_holders(values):
        yield from ((None, value) for value in values)


def has_holders(values: Iterable[Node]) -> bool:
    """Return whether some of the values are names or may contain names."""
    # Most values of large files are scalars: comparing sets of types is fast.
    return not _HOLDERS.isdisjoint(map(type, values))


WRITING = {"out", "where"}
"""Keywords of numpy's functions that no model needs. An array in `out` is overwritten, so that one
request could read the values of another. Values that `where` skips are uninitialized memory.
"""

_DICTS = {"defaultdict", "ordered"}


def keyword_problem(where: str, node: Node) -> str | None:
    """Return why the keywords in a position or in a `partial` are refused, or None."""
    if isinstance(node, ObjectNode) and contract_name(node.cls.key) == "partial":
        parts = [part for state in node.states if isinstance(state, tuple) for part in state]
        return next(filter(None, map(_forbidden_keyword, filter(_is_dict, parts))), None)
    if (
        where not in KEYWORDS
        or not isinstance(node, DictNode | ObjectNode)
        or (isinstance(node, ObjectNode) and standing(class_key(node)) == "unknown")
    ):
        return None
    return _forbidden_keyword(node) if _is_dict(node) else "keywords that are not a dict"


def _is_dict(node: Node) -> bool:
    if not isinstance(node, ObjectNode):
        return isinstance(node, DictNode)
    is_old = bool(node.args) and isinstance(node.args[-1], DictNode)  # of protocols 0 and 1
    return is_old or contract_name(node.cls.key) in _DICTS or class_key(node).endswith(":Bunch")


def _forbidden_keyword(node: Node) -> str | None:
    for key in _keys(node):
        if type(key) is not str:
            return "keywords that are not plain text"
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
    """Return whether a FunctionTransformer reduces all rows to one value."""
    key = function_key(attributes.get("func"))
    if key is None or roles_of(key) != {"reduction"}:
        return False
    found = attributes.get("kw_args")
    if not isinstance(found, DictNode):
        return True
    axis, keeps = scalar(dict_get(found, "axis")), scalar(dict_get(found, "keepdims"))
    return axis != 1 and keeps is not True
