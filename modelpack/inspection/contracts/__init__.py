"""Contracts: the arguments and states that picklers write for each known callable and class.

The name of a callable does not make a call safe: its arguments come from the file. allowlist.json
therefore names a contract for each callable, and for each class that does more with its state than
store it. A contract returns why an object is refused, or None.
"""

from __future__ import annotations

from ..allowlist import contract_name, roles
from ..nodes import ObjectNode, class_key, constructed_class, is_bare, is_constructed
from . import arrow, builtin, caches, frames, learning, numeric
from .kinds import BAD_STATE, Contract
from .learning import NO_STATE

__all__ = [
    "CALLS",
    "CLASSES",
    "class_key",
    "constructed_class",
    "is_constructed",
    "lacks_state",
    "reads_own_state",
    "violation",
]

CALLS: dict[str, Contract] = (
    builtin.CALLS | numeric.CALLS | learning.CALLS | frames.CALLS | arrow.CALLS | caches.CALLS
)
"""Contracts of callables: their arguments, and the states of the objects that they return."""

CLASSES: dict[str, Contract] = (
    learning.CLASSES | numeric.CLASSES | frames.CLASSES | arrow.CLASSES | caches.CLASSES
)
"""Contracts of classes: their constructor arguments and states."""


_OF_BOTH = {"dtype", "extension"}
"""Contracts of callables that check the arguments and the state together."""


def violation(node: ObjectNode) -> str | None:
    """Return why the arguments or states of an object of a known global are refused, or None."""
    return _call(node) or _class(node)


def lacks_state(node: ObjectNode, why: str) -> bool:
    """Return whether an object is refused for the reason `why` only because it has no state yet."""
    if node.states:
        return False
    if is_constructed(node):
        return is_bare(node) and not _call(node)
    return why in {BAD_STATE, NO_STATE} or contract_name(node.cls.key) in _OF_BOTH


def reads_own_state(key: str) -> bool:
    """Return whether a class has its own `__setstate__`, and a contract that checks its state."""
    return contract_name(key) in CLASSES


def _call(node: ObjectNode) -> str | None:
    if node.how != "call" or not roles(node.cls.key):
        return None
    contract = CALLS.get(contract_name(node.cls.key) or "")
    return contract(node) if contract else "modelpack has no contract for its arguments"


def _class(node: ObjectNode) -> str | None:
    key = class_key(node)
    if not is_constructed(node) or not roles(key):
        return None
    contract = CLASSES.get(contract_name(key) or "")
    if contract is not None:
        return contract(node)
    return None if is_bare(node) else "it is constructed with arguments"
