"""Callables of the standard library: types of values, and what picklers themselves call."""

from __future__ import annotations

from ..allowlist import contract_name, roles, standing
from ..nodes import Blob, DictNode, Global, Node, ObjectNode, class_key, is_constructed
from .kinds import (
    Contract,
    all_of,
    anything,
    call_contract,
    either,
    integer,
    literal,
    nothing,
    number,
    raw,
    result_of,
    sequence,
    table,
    text,
    tuple_of,
    unsigned_integer,
)

_BASES = {"object": type(None), "dict": DictNode, "list": list, "tuple": tuple}
_PARTIAL_OF = ("sklearn.feature_selection.", "sklearn.metrics.", "sklearn.utils.validation:")
_TEXT_TYPES = {"str", "unicode"}
_TEXT_METHODS = {"capitalize", "casefold", "lower", "split", "splitlines", "strip", "upper"}


def _encode(made: ObjectNode) -> str | None:
    if len(made.args) == 2 and isinstance(made.args[0], str | Blob) and not made.states:
        if made.args[1] in ("latin1", "latin-1"):
            return None
        if made.args[1] == "utf-8" and isinstance(made.args[0], str):
            return None
    return "it is used otherwise than for the bytes of an array"


def _bytes(made: ObjectNode) -> str | None:
    # A number would claim as much memory.
    latin = len(made.args) == 2 and made.args[1] in ("latin1", "latin-1")
    fine = len(made.args) <= 1 or (latin and isinstance(made.args[0], str | Blob))
    fits = fine and all(map(raw, made.args)) and not made.states
    return None if fits else "it is not made of bytes"


def _defaultdict(made: ObjectNode) -> str | None:
    fine = len(made.args) <= 1 and all(map(_is_factory, made.args)) and not made.states
    return None if fine else "its factory is no plain type"


def _is_factory(node: Node) -> bool:
    if node is None:
        return True
    return isinstance(node, Global) and (
        (node.module in {"builtins", "__builtin__"} and "ref" in roles(node.key))
        or node.key == "collections:OrderedDict"
        or standing(node.key) == "unknown"  # has to be trusted anyway
    )


def _partial(made: ObjectNode) -> str | None:
    # A state replaces the function that the arguments told.
    wrapped = [a[0] if isinstance(a, tuple) and a else None for a in (made.args, *made.states)]
    fine = made.kwargs is None and all(map(_may_be_wrapped, wrapped))
    return None if fine else "it wraps a function that models do not wrap"


def _may_be_wrapped(node: Node) -> bool:
    if not isinstance(node, Global):
        return False
    if node.key == "pandas.core.internals.blocks:new_block":
        return True  # it may only be called at once, as it is no value
    is_own = node.key.startswith(_PARTIAL_OF) and "ref" in roles(node.key)
    return is_own or standing(node.key) == "unknown"


def _getattr(made: ObjectNode) -> str | None:
    if len(made.args) == 2 and isinstance(made.args[1], str) and not made.states:
        owner, name = made.args
        if isinstance(owner, Global) and _is_text_method(owner, name):
            return None
        if (
            isinstance(owner, ObjectNode)
            and is_constructed(owner)
            and _is_method(class_key(owner), name)
        ):
            # What the state sets is no method of the class, and may be anything.
            return "it takes what the file sets" if _sets(owner, name) else None
    return "it takes an attribute that models do not take"


def _sets(owner: ObjectNode, name: str) -> bool:
    states = (part for state in owner.states
              for part in (state if isinstance(state, tuple) else (state,)))  # fmt: skip
    return name == "random_state" or any(isinstance(p, DictNode) and name in p.keys for p in states)


def _is_text_method(owner: Global, name: str) -> bool:
    is_text = owner.module in {"builtins", "__builtin__"} and owner.name in _TEXT_TYPES
    return is_text and name in _TEXT_METHODS


def _is_method(owner: str, name: str) -> bool:
    if contract_name(owner) == "distribution":
        return name == "_entropy" or not name.startswith("_")
    # A bound method of a class that has to be trusted anyway.
    return not name.startswith("__") and standing(owner) == "unknown"


def _reconstructor(made: ObjectNode) -> str | None:
    if len(made.args) == 3 and made.kwargs is None:
        cls, base, content = made.args
        kind = _BASES.get(base.name) if isinstance(base, Global) else None
        if isinstance(cls, Global) and kind is not None and isinstance(content, kind):
            return None
    return "it is not called as picklers call it"


def _translated(_: ObjectNode) -> str:
    # modelpack.inspection.translation has replaced all calls that are as dill writes them.
    return "it is called with what dill does not write there for a model"


_place = either(nothing, integer, text, number)
_zone = result_of("timezone", "nothing")
_pairs = all_of(either(tuple_of(anything, anything), all_of(anything)))

CALLS: dict[str, Contract] = {
    "nothing": call_contract(),
    "bytes": _bytes,
    "collection": call_contract(sequence, least=0),
    "complex": call_contract(number, number),
    "range": call_contract(integer, integer, integer),
    "slice": call_contract(_place, _place, _place),
    "ordered": call_contract(_pairs, least=0, state=table, stateless=True),
    "defaultdict": _defaultdict,
    "deque": call_contract(literal((), []), either(nothing, unsigned_integer), least=0),
    "counter": call_contract(table),
    "moment": call_contract(raw, _zone, least=1),
    "duration": call_contract(integer, integer, integer),
    "timezone": call_contract(result_of("duration"), text, least=1),
    "encode": _encode,
    "partial": _partial,
    "getattr": _getattr,
    "pattern": call_contract(raw, unsigned_integer),
    "reconstructor": _reconstructor,
    "translated": _translated,
}
