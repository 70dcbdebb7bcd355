"""What attributes hold: functions, and the containers that functions are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..allowlist import contract_name
from ..contracts import class_key, made_class
from ..nodes import COMPOSITE, Dct, Global, Items, Node, Obj

HOLDERS = (*COMPOSITE, Global)
"""The nodes that are names or may hold some."""

_HOLDERS = frozenset(HOLDERS)
_CONTAINERS = {"collection", "counter", "deque", "fields", "ordered"}


def attributes(made: Obj) -> Iterator[tuple[str, Node]]:
    """What its states set, in the dict of the object and past it; of a Bunch also its items."""
    if class_key(made).endswith(":Bunch"):
        is_old = made_class(made) is not made.cls and made.args  # of protocols 0 and 1
        yield from _texts(made.args[-1] if is_old else made.pairs)
    for state in made.states:
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            yield from _texts(part)


def _texts(part: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(part, Dct):
        pairs = zip(part.keys, part.values, strict=True)
        yield from ((name, value) for name, value in pairs if type(name) is str)


def function_key(node: Node) -> str | None:
    """The "module:name" of a name, however it is written; None of other values."""
    if isinstance(node, Global):
        return node.key
    if isinstance(node, Obj) and contract_name(node.cls.key) == "ufunc" and len(node.args) == 2:
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
    elif isinstance(node, Dct):
        if has_holders(node.values):
            keys = (key if type(key) is str else None for key in node.keys)
            yield from zip(keys, node.values, strict=True)
        yield from _listed(node.keys)
    elif isinstance(node, Obj):
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
