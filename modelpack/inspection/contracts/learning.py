"""Contracts of compiled scikit-learn classes, and of the functions that Cython generates."""

from __future__ import annotations

from ..nodes import DictNode, Global, Node, ObjectNode, is_bare
from .kinds import (
    Contract,
    array,
    call_contract,
    either,
    nothing,
    number,
    sequence,
    table,
    unsigned_integer,
)

_UNPICKLE = "__pyx_unpickle_"
NO_STATE = "its state is missing or is not a sequence"


def _same_module(node: ObjectNode) -> str | None:
    cls = node.args[0] if len(node.args) == 1 else None
    if isinstance(cls, Global) and cls.module == node.cls.module and _is_class(cls.name):
        fine = node.kwargs is None and len(node.states) == 1 and sequence(node.states[0])
        return None if fine else NO_STATE
    return "it builds a class of another module"


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _cython(node: ObjectNode) -> str | None:
    # Arguments: the class, a checksum of its attributes, and their values or None.
    if len(node.args) != 3 or len(node.states) > 1 or node.kwargs is not None:
        return "Cython does not call it this way"
    cls, checksum, state = node.args
    fits = isinstance(cls, Global) and _UNPICKLE + cls.name == node.cls.name
    if not fits or cls.module != node.cls.module:
        return "it builds a class other than the one that it was generated for"
    fine = unsigned_integer(checksum) and all(_is_state(s) for s in (state, *node.states))
    return None if fine else "its state is not one that Cython writes"


def _is_state(node: Node) -> bool:
    return node is None or isinstance(node, tuple)


CALLS: dict[str, Contract] = {
    "tree": call_contract(unsigned_integer, array, unsigned_integer, state=table),
    "of_module": _same_module,
    "cython": _cython,
    "numbers": call_contract(either(nothing, number), either(nothing, number), required=0),
}


def _fields(node: ObjectNode) -> str | None:
    # A named tuple stores its arguments and has no state.
    return None if node.kwargs is None and not node.states else "it is not a tuple of values"


def _vectorizer(node: ObjectNode) -> str | None:
    if not is_bare(node):
        return "it is constructed with arguments"
    for state in node.states:
        if not isinstance(state, DictNode):
            return "its state is not a dict"
        for key, value in zip(state.keys, state.values, strict=True):
            if key == "input" and value != "content":
                return "it would open each row of a request as a file name"
    return None


CLASSES: dict[str, Contract] = {"fields": _fields, "vectorizer": _vectorizer}
