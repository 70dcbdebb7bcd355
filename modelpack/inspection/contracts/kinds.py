"""What a value of a pickle is, as tests that a contract puts to each argument and state."""

from __future__ import annotations

from collections.abc import Callable

from ..allowlist import contract_name
from ..nodes import Blob, DictNode, Global, Node, ObjectNode, Payload
from ..pickle.dtypes import parse, shape_of
from ..pickle.ndarrays import scalar

Kind = Callable[[Node], bool]
Contract = Callable[[ObjectNode], str | None]
"""What is wrong with an object, or None."""

_UNFIT = "its arguments are not those that picklers write"
_UNFIT_STATE = "its state is not one that picklers write"


def nothing(node: Node) -> bool:
    return node is None


def text(node: Node) -> bool:
    return isinstance(node, str)


def flag(node: Node) -> bool:
    return type(node) is bool or (type(node) is int and node in (0, 1))


def integer(node: Node) -> bool:
    return type(node) is int


def unsigned_integer(node: Node) -> bool:
    """A count: numpy's and Cython's ints hold no more."""
    return type(node) is int and 0 <= node < 2**63


def number(node: Node) -> bool:
    return type(node) in (int, float) or result_of("scalar")(node)


def table(node: Node) -> bool:
    return isinstance(node, DictNode)


def anything(_: Node) -> bool:
    return True


def raw(node: Node) -> bool:
    """Bytes, however the protocol at hand writes them; text where Python 2 did."""
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
    """One of these values, and of their types."""
    return lambda node: any(type(node) is type(value) and node == value for value in values)


def either(*kinds: Kind) -> Kind:
    return lambda node: any(kind(node) for kind in kinds)


def tuple_of(*kinds: Kind) -> Kind:
    """A tuple of as many values, each of its kind."""

    def fits(node: Node) -> bool:
        if not isinstance(node, tuple) or len(node) != len(kinds):
            return False
        return all(kind(part) for kind, part in zip(kinds, node, strict=True))

    return fits


def all_of(kind: Kind) -> Kind:
    """A list or tuple of any number of values of this kind."""
    return lambda node: isinstance(node, list | tuple) and all(map(kind, node))


def global_named(module: str, name: str = "") -> Kind:
    """A global whose module begins with, and whose name ends with these; a prefix of a module ends
    where one of its parts does.
    """

    def fits(node: Node) -> bool:
        if not isinstance(node, Global):
            return False
        return f"{node.module}.".startswith(f"{module}.") and node.name.endswith(name)

    return fits


def result_of(*contracts: str) -> Kind:
    """What a call of a known callable with one of these contracts returns."""

    def fits(node: Node) -> bool:
        called = isinstance(node, ObjectNode) and node.how == "call"
        return called and contract_name(node.cls.key) in contracts

    return fits


def call_contract(
    *kinds: Kind, least: int | None = None, state: Kind | None = None, stateless: bool = False
) -> Contract:
    """The contract of a callable: as many arguments, each of its kind, the last ones left out down
    to `least`; the kind of its one state, which may be missing if `stateless`, or None if it has
    none.
    """
    fewest = len(kinds) if least is None else least
    counts = {0} if state is None else {0, 1} if stateless else {1}

    def contract(made: ObjectNode) -> str | None:
        if made.kwargs is not None or not fewest <= len(made.args) <= len(kinds):
            return _UNFIT
        if not all(kind(arg) for kind, arg in zip(kinds, made.args, strict=False)):
            return _UNFIT
        fine = len(made.states) in counts and all(map(state or nothing, made.states))
        return None if fine else _UNFIT_STATE

    return contract


def is_zone_path(node: Node) -> bool:
    """Return whether pandas takes a text for a time zone of dateutil, which opens the file of that
    name.
    """
    text = scalar(node)
    return isinstance(text, str) and "dateutil/" in text
