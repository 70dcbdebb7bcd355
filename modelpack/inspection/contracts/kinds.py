"""Kinds: predicates that contracts apply to arguments and states."""

from __future__ import annotations

from collections.abc import Callable

from ..allowlist import contract_name
from ..nodes import Blob, DictNode, Global, Node, ObjectNode, Payload
from ..pickle.dtypes import parse, shape_of
from ..pickle.ndarrays import scalar

Kind = Callable[[Node], bool]
Contract = Callable[[ObjectNode], str | None]
"""Returns why an object is refused, or None."""

_BAD_ARGUMENTS = "its arguments are not those that picklers write"
BAD_STATE = "its state is not one that picklers write"


def nothing(node: Node) -> bool:
    return node is None


def text(node: Node) -> bool:
    return isinstance(node, str)


def flag(node: Node) -> bool:
    return type(node) is bool or (type(node) is int and node in (0, 1))


def integer(node: Node) -> bool:
    return type(node) is int


def unsigned_integer(node: Node) -> bool:
    """A count that fits into a signed 64-bit integer, as numpy and Cython store it."""
    return type(node) is int and 0 <= node < 2**63


def number(node: Node) -> bool:
    return type(node) in (int, float) or result_of("scalar")(node)


def table(node: Node) -> bool:
    return isinstance(node, DictNode)


def anything(_: Node) -> bool:
    return True


def raw(node: Node) -> bool:
    """Bytes, in the form of any pickle protocol; Python 2 writes them as text."""
    return isinstance(node, bytes | Blob | str) or result_of("bytes", "encode")(node)


def array(node: Node) -> bool:
    return isinstance(node, Payload) or result_of("array", "buffer")(node)


def shape(node: Node) -> bool:
    return shape_of(node) is not None


def dtype(node: Node) -> bool:
    return parse(node) is not None


def sequence(node: Node) -> bool:
    return isinstance(node, list | tuple)


def literal(*values: Node) -> Kind:
    """One of these values, of exactly its type: `True` is not 1."""
    return lambda node: any(type(node) is type(value) and node == value for value in values)


def either(*kinds: Kind) -> Kind:
    return lambda node: any(kind(node) for kind in kinds)


def tuple_of(*kinds: Kind) -> Kind:
    """A tuple of this length, each value of the kind at its position."""

    def fits(node: Node) -> bool:
        if not isinstance(node, tuple) or len(node) != len(kinds):
            return False
        return all(kind(part) for kind, part in zip(kinds, node, strict=True))

    return fits


def all_of(kind: Kind) -> Kind:
    """A list or tuple of any length with values of one kind."""
    return lambda node: isinstance(node, list | tuple) and all(map(kind, node))


def global_named(module: str, name: str = "") -> Kind:
    """A global in `module` or a module below it, whose name ends with `name`."""

    def fits(node: Node) -> bool:
        if not isinstance(node, Global):
            return False
        return f"{node.module}.".startswith(f"{module}.") and node.name.endswith(name)

    return fits


def result_of(*contracts: str) -> Kind:
    """The result of a call of a known callable that has one of these contracts."""

    def fits(node: Node) -> bool:
        called = isinstance(node, ObjectNode) and node.how == "call"
        return called and contract_name(node.cls.key) in contracts

    return fits


def call_contract(
    *kinds: Kind, required: int | None = None, state: Kind | None = None, stateless: bool = False
) -> Contract:
    """Return the contract of a callable.

    Args:
        kinds: The kinds of its positional arguments.
        required: The number of arguments that must be present (default: all).
        state: The kind of its one state; None if the result has no state.
        stateless: Whether the state may be missing.
    """
    minimum = len(kinds) if required is None else required
    counts = {0} if state is None else {0, 1} if stateless else {1}

    def contract(node: ObjectNode) -> str | None:
        if node.kwargs is not None or not minimum <= len(node.args) <= len(kinds):
            return _BAD_ARGUMENTS
        if not all(kind(arg) for kind, arg in zip(kinds, node.args, strict=False)):
            return _BAD_ARGUMENTS
        fine = len(node.states) in counts and all(map(state or nothing, node.states))
        return None if fine else BAD_STATE

    return contract


def is_zone_path(node: Node) -> bool:
    """Return whether pandas passes a text to dateutil, which opens a file of that name."""
    text = scalar(node)
    return isinstance(text, str) and "dateutil/" in text
