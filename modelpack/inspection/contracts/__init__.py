"""What the arguments and states of the known callables may be: what picklers write, nothing else.

allowlist.json names the contract of each callable, and of each class that does more with its state
than to keep it. A contract returns what is wrong, or None.
"""

from __future__ import annotations

from ..allowlist import contract_name, roles
from ..nodes import ObjectNode, class_key, constructed_class, is_bare, is_constructed
from . import arrow, builtin, caches, frames, learning, numeric
from .kinds import Contract

__all__ = [
    "CALLS",
    "CLASSES",
    "class_key",
    "constructed_class",
    "is_constructed",
    "reads_own_state",
    "violation",
]

CALLS: dict[str, Contract] = (
    builtin.CALLS | numeric.CALLS | learning.CALLS | frames.CALLS | arrow.CALLS
)
"""What is called: its arguments, and the states of what it returns."""

CLASSES: dict[str, Contract] = (
    learning.CLASSES | numeric.CLASSES | frames.CLASSES | arrow.CLASSES | caches.CLASSES
)
"""Classes: what they are made of, and their states."""


def violation(made: ObjectNode) -> str | None:
    """What is wrong with the arguments or states of an object of a known global, if anything."""
    return _call(made) or _class(made)


def reads_own_state(key: str) -> bool:
    """Whether a class gives its state another meaning than Python, and its contract checks that."""
    return contract_name(key) in CLASSES


def _call(made: ObjectNode) -> str | None:
    if made.how != "call" or not roles(made.cls.key):
        return None
    contract = CALLS.get(contract_name(made.cls.key) or "")
    return contract(made) if contract else "no contract tells with what it may be called"


def _class(made: ObjectNode) -> str | None:
    key = class_key(made)
    if not is_constructed(made) or not roles(key):
        return None
    contract = CLASSES.get(contract_name(key) or "")
    if contract is not None:
        return contract(made)
    return None if is_bare(made) else "it is made of arguments"
