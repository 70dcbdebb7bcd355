"""Contracts of the standard library: types of values, and functions that picklers call."""

from __future__ import annotations

import re

from .. import translation
from ..allowlist import contract_name, roles, standing
from ..nodes import Blob, DictNode, Global, Node, ObjectNode, class_key, is_constructed
from .kinds import (
    Contract,
    all_of,
    anything,
    call_contract,
    either,
    flag,
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
_PARTIAL_PREFIXES = ("sklearn.feature_selection.", "sklearn.metrics.", "sklearn.utils.validation:")
_TEXT_TYPES = {"str", "unicode"}
_TEXT_METHODS = {"capitalize", "casefold", "lower", "split", "splitlines", "strip", "upper"}


def _encode(node: ObjectNode) -> str | None:
    if len(node.args) == 2 and isinstance(node.args[0], str | Blob) and not node.states:
        if node.args[1] in ("latin1", "latin-1"):
            return None
        if node.args[1] == "utf-8" and isinstance(node.args[0], str):
            return None
    return "it does not encode the bytes of an array"


def _bytes(node: ObjectNode) -> str | None:
    # `bytes(n)` of a number allocates n bytes.
    latin = len(node.args) == 2 and node.args[1] in ("latin1", "latin-1")
    fine = len(node.args) <= 1 or (latin and isinstance(node.args[0], str | Blob))
    fits = fine and all(map(raw, node.args)) and not node.states
    return None if fits else "its argument is not bytes"


def _defaultdict(node: ObjectNode) -> str | None:
    fine = len(node.args) <= 1 and all(map(_is_factory, node.args)) and not node.states
    return None if fine else "its default factory is not a builtin type"


def _is_factory(node: Node) -> bool:
    if node is None:
        return True
    return isinstance(node, Global) and (
        (node.module in {"builtins", "__builtin__"} and "ref" in roles(node.key))
        or node.key == "collections:OrderedDict"
        or standing(node.key) == "unknown"  # has to be trusted anyway
    )


def _partial(node: ObjectNode) -> str | None:
    # The state of a partial replaces the function in its arguments.
    wrapped = [a[0] if isinstance(a, tuple) and a else None for a in (node.args, *node.states)]
    fine = node.kwargs is None and all(map(_may_be_wrapped, wrapped))
    return None if fine else "it wraps a function that no model wraps"


def _may_be_wrapped(node: Node) -> bool:
    if not isinstance(node, Global):
        return False
    if node.key == "pandas.core.internals.blocks:new_block":
        return True  # not allowed as a value, so this partial can only be called by the pickle
    is_own = node.key.startswith(_PARTIAL_PREFIXES) and "ref" in roles(node.key)
    # Names of formulaic are refused, with a reason of their own.
    return is_own or standing(node.key) == "unknown" or node.module.startswith("formulaic.")


def _getattr(node: ObjectNode) -> str | None:
    if len(node.args) == 2 and isinstance(node.args[1], str) and not node.states:
        owner, name = node.args
        if isinstance(owner, Global) and (
            _is_text_method(owner, name) or (owner.key, name) == translation.ZONE
        ):
            return None
        if result_of("pattern")(owner) and name in PATTERN_METHODS:
            return None
        if (
            isinstance(owner, ObjectNode)
            and is_constructed(owner)
            and _is_method(class_key(owner), name)
        ):
            # The state could replace the method by any object.
            return "the attribute that it reads is set by the file" if _sets(owner, name) else None
    return "it reads an attribute that no model reads"


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


def _reconstructor(node: ObjectNode) -> str | None:
    if len(node.args) == 3 and node.kwargs is None:
        cls, base, content = node.args
        kind = _BASES.get(base.name) if isinstance(base, Global) else None
        if isinstance(cls, Global) and kind is not None and isinstance(content, kind):
            return None
    return "picklers do not call it this way"


def zone_key(node: Node) -> bool:
    """Return whether a text is the key of a time zone, and no other path."""
    # zoneinfo opens the file of this name in the folders of time zones, and checks that it is one.
    return text(node) and len(node) <= _MAX_ZONE and _ZONE.fullmatch(node) is not None


def _translated(_: ObjectNode) -> str:
    # modelpack.inspection.translation has already replaced each call that dill writes for a model.
    return "dill does not write this call for a model"


def _own(node: Node) -> bool:
    """The result of a callable that the user has to trust, such as the flags of `regex`."""
    return isinstance(node, ObjectNode) and standing(node.cls.key) == "unknown"


PATTERN_METHODS = {"findall", "split"}
"""Methods of compiled patterns that tokenize a text."""

_bound = either(nothing, integer, text, number)
_zone = result_of("timezone", "nothing", "named_zone", "fixed_zone", "zone_file")

# pytz opens a file only if its name is in its list of zones.
_named_zone = call_contract(text, integer, integer, text, required=1)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_MAX_ZONE = 100
_pairs = all_of(either(tuple_of(anything, anything), all_of(anything)))

CALLS: dict[str, Contract] = {
    "nothing": call_contract(),
    "bytes": _bytes,
    "collection": call_contract(sequence, required=0),
    "complex": call_contract(number, number),
    "range": call_contract(integer, integer, integer),
    "slice": call_contract(_bound, _bound, _bound),
    "ordered": call_contract(_pairs, required=0, state=table, stateless=True),
    "defaultdict": _defaultdict,
    "deque": call_contract(literal((), []), either(nothing, unsigned_integer), required=0),
    "counter": call_contract(table),
    "moment": call_contract(raw, _zone, required=1),
    "duration": call_contract(integer, integer, integer),
    "timezone": call_contract(result_of("duration"), text, required=1),
    "named_zone": _named_zone,
    "fixed_zone": call_contract(integer),
    "zone_file": call_contract(zone_key, flag),
    "encode": _encode,
    "partial": _partial,
    "getattr": _getattr,
    "pattern": call_contract(raw, unsigned_integer),
    "pattern_flags": call_contract(either(integer, _own)),
    "logger": call_contract(text, required=0),
    "reconstructor": _reconstructor,
    "translated": _translated,
}
