"""Functions and types in the attributes of estimators: each only where models hold it.

The names of a file may all be known. Where an estimator calls what it holds, a type or a function
of another kind still does what no model does. Attributes of known classes therefore hold only names
in the roles of `positions`, and functions get no keyword that makes them write or leave memory as
it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelpack.types import Finding

from ..allowlist import contract_name, is_known, standing
from ..contracts import class_key
from ..nodes import COMPOSITE, DictNode, Global, Node, ObjectNode
from . import values as callables_values
from .names import CALLED, KEYWORDS, METHODS, SEARCHED, TEXT, admitted, roles_of
from .values import HOLDERS, attributes, function_key, held

CODE = "bad-callable"

_PARTIAL = "functools:partial"
_SHAPED = ("numpy", "sklearn")  # that take rows for a shape or for addresses
_WRAPPERS = {"numpy:vectorize", "scipy.stats._continuous_distns:_DeprecationWrapper"}
"""Classes that call a function which they hold: parts of scipy's distributions."""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Find the names in positions where no model has them, once for each class and attribute."""
    reported: set[tuple[str, str]] = set()
    walk = _Walk()
    for made in objects:
        key = class_key(made) or made.cls.key
        if contract_name(made.cls.key) == "array" and _holds_names(made):
            yield _finding(made, "numpy.ndarray", "functions or types as values")
        if contract_name(key) == "distribution":
            states = [state for state in made.states if isinstance(state, DictNode)]
            if any(Global in set(map(type, state.values)) for state in states):
                yield _finding(made, key, "a function or type")
            continue
        if made.cls.key == _PARTIAL:
            continue  # the attribute that holds it counts
        known = is_known(key)
        for name, value in (*attributes(made), *(_by_place(made) if known else ())):
            if not isinstance(value, HOLDERS) or name in SEARCHED or (key, name) in reported:
                continue
            if why := walk.wrong(name, value) if known else _in_own_class(name, value):
                reported.add((key, name))
                message = f"{key.replace(':', '.')} holds in {ascii(name)[1:-1]} {why}"
                yield Finding(CODE, message, made.offset, made.opcode, key or None)
        if key.endswith(":FunctionTransformer") and callables_values.reduces_all(
            dict(attributes(made))
        ):
            message = f"{key.replace(':', '.')} makes one value of all rows"
            yield Finding(CODE, message, made.offset, made.opcode, key)


def _finding(made: ObjectNode, key: str, what: str) -> Finding:
    message = f"{key.replace(':', '.')} holds {what}, which no model has there"
    return Finding(CODE, message, made.offset, made.opcode, made.cls.key)


def _holds_names(made: ObjectNode) -> bool:
    """Whether an array has functions or types as values. Those of a search are masked arrays."""
    state = made.states[0] if made.states else None
    values = state[-1] if isinstance(state, tuple) and state else None
    return isinstance(values, list) and Global in set(map(type, values))


def _by_place(made: ObjectNode) -> Iterator[tuple[str, Node]]:
    """The names in a state that a class reads by position."""
    for state in made.states:
        if isinstance(state, tuple):
            yield from (("its state", value) for value in state if isinstance(value, Global))


class _Walk:
    """Look at what attributes hold. A container that many objects share is looked at once for each
    position.
    """

    def __init__(self) -> None:
        self._known: set[tuple[int, str]] = set()

    def wrong(self, attribute: str, value: Node) -> str | None:
        """Return what is wrong with the value of an attribute, if anything."""
        waiting = [(attribute, value)]
        while waiting:
            where, node = waiting.pop()
            if why := _name(where, node) or callables_values.wrong(where, node):
                return why
            here = (id(node), where if _is_position(where) else "")
            if here in self._known or not isinstance(node, COMPOSITE):
                continue
            self._known.add(here)
            for key, each in held(node):
                if isinstance(each, HOLDERS):
                    inner = "" if where in KEYWORDS else where
                    waiting.append((key if key is not None and _is_position(key) else inner, each))
        return None


def _is_position(key: str) -> bool:
    return key in KEYWORDS or admitted(key) is not None


def _name(where: str, node: Node) -> str | None:
    """What is wrong with a function or type in a position, if anything."""
    if isinstance(node, ObjectNode) and contract_name(node.cls.key) == "getattr":
        return _method(where, node)
    if isinstance(node, ObjectNode) and class_key(node) in _WRAPPERS:
        return "a wrapper of a function, which no model has there"
    key = function_key(node)
    if key is None or standing(key) == "unknown":
        return None  # the user has to trust it anyway
    if roles_of(key) & set(admitted(where) or ()):
        return None
    words = " or ".join(sorted(roles_of(key))) or "name"
    return f"the {words} {key.replace(':', '.')}, which no model has there"


def _method(where: str, node: ObjectNode) -> str | None:
    owner = node.args[0] if node.args else None
    if isinstance(owner, Global) and where in TEXT:
        return None
    known = is_known(class_key(owner)) if isinstance(owner, ObjectNode) else True
    return "a method, which no model has there" if known and where not in METHODS else None


def _in_own_class(name: str, node: Node) -> str | None:
    """The same for a class that modelpack does not know, which may inherit what calls a function:
    its own attributes may be types, but none needs a constructor that takes rows for a shape.
    """
    key = function_key(node) or ""
    if name in CALLED and key.startswith(_SHAPED) and "constructor" in roles_of(key):
        return f"the constructor {key.replace(':', '.')}, which no model has there"
    return None
