"""Compiled classes of scikit-learn, and of what Cython writes for any other library."""

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


def _same_module(made: ObjectNode) -> str | None:
    cls = made.args[0] if len(made.args) == 1 else None
    if isinstance(cls, Global) and cls.module == made.cls.module and _is_class(cls.name):
        fine = made.kwargs is None and len(made.states) == 1 and sequence(made.states[0])
        return None if fine else "it has no state, or not one of its class"
    return "it makes what its module does not hold"


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _cython(made: ObjectNode) -> str | None:
    # The class, a checksum of its attributes, and these, or a state of them afterwards.
    if len(made.args) != 3 or len(made.states) > 1 or made.kwargs is not None:
        return "it is not called as Cython calls it"
    cls, checksum, state = made.args
    fits = isinstance(cls, Global) and _UNPICKLE + cls.name == made.cls.name
    if not fits or cls.module != made.cls.module:
        return "it makes another class than its own"
    fine = unsigned_integer(checksum) and all(_is_state(s) for s in (state, *made.states))
    return None if fine else "its state is not one that Cython writes"


def _is_state(node: Node) -> bool:
    return node is None or isinstance(node, tuple)


CALLS: dict[str, Contract] = {
    "tree": call_contract(unsigned_integer, array, unsigned_integer, state=table),
    "of_module": _same_module,
    "cython": _cython,
    "numbers": call_contract(either(nothing, number), either(nothing, number), least=0),
}


def _fields(made: ObjectNode) -> str | None:
    # A named tuple: values that it keeps.
    return None if made.kwargs is None and not made.states else "it is no tuple of values"


def _vectorizer(made: ObjectNode) -> str | None:
    if not is_bare(made):
        return "it is made of arguments"
    for state in made.states:
        if not isinstance(state, DictNode):
            return "its state is no dict"
        for key, value in zip(state.keys, state.values, strict=True):
            if key == "input" and value != "content":
                return "it takes the rows of requests for names of files and opens them"
    return None


CLASSES: dict[str, Contract] = {"fields": _fields, "vectorizer": _vectorizer}
