"""Functions and types as attributes of estimators, each allowed only in its role.

Estimators call functions that the file stores in their attributes. A known name in the wrong
attribute can still do harm: `numpy.ndarray` called with rows returns uninitialized memory. An
attribute of a known class may therefore contain only names with the roles of `names.FUNCTIONS`, and
no keyword that makes a function write to memory or leave it uninitialized.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelpack.types import Finding

from ..allowlist import contract_name, is_known, standing
from ..contracts import class_key
from ..contracts.kinds import result_of
from ..nodes import COMPOSITE, DictNode, Global, Node, ObjectNode
from . import values as callables_values
from .names import CALLED, KEYWORDS, METHODS, SEARCHED, TEXT, admitted, roles_of
from .values import HOLDERS, attributes, function_key, held

CODE = "bad-callable"

_PARTIAL = "functools:partial"
_SHAPED = ("numpy", "sklearn")  # their constructors use rows as a shape or as addresses
_WRAPPERS = {"numpy:vectorize", "scipy.stats._continuous_distns:_DeprecationWrapper"}
"""Classes that call the function in their attribute: parts of scipy's distributions."""


def check(objects: Iterable[ObjectNode]) -> Iterator[Finding]:
    """Yield a finding for each class and attribute with a name whose role it does not admit."""
    reported: set[tuple[str, str]] = set()
    walk = _Walk()
    for node in objects:
        key = class_key(node) or node.cls.key
        if contract_name(node.cls.key) == "array" and _holds_names(node):
            yield _finding(node, "numpy.ndarray", "functions or types as values")
        if contract_name(key) == "distribution":
            states = [state for state in node.states if isinstance(state, DictNode)]
            if any(Global in set(map(type, state.values)) for state in states):
                yield _finding(node, key, "a function or type")
            continue
        if node.cls.key == _PARTIAL:
            continue  # checked at the attribute that contains it
        known = is_known(key)
        for name, value in (*attributes(node), *(_state_values(node) if known else ())):
            if not isinstance(value, HOLDERS) or name in SEARCHED or (key, name) in reported:
                continue
            if (
                why := walk.problem(name, value)
                if known
                else _problem_in_unknown_class(name, value)
            ):
                reported.add((key, name))
                message = f"{repr(name)[1:-1]} of {key.replace(':', '.')} contains {why}"
                yield Finding(CODE, message, node.offset, node.opcode, key or None)
        if key.endswith(":FunctionTransformer") and callables_values.reduces_all(
            dict(attributes(node))
        ):
            message = f"{key.replace(':', '.')} reduces all rows to one value"
            yield Finding(CODE, message, node.offset, node.opcode, key)


def _finding(node: ObjectNode, key: str, what: str) -> Finding:
    message = f"{key.replace(':', '.')} contains {what}, which no model has there"
    return Finding(CODE, message, node.offset, node.opcode, node.cls.key)


def _holds_names(node: ObjectNode) -> bool:
    """Return whether an array contains functions or types; searches use masked arrays for these."""
    state = node.states[0] if node.states else None
    values = state[-1] if isinstance(state, tuple) and state else None
    if not isinstance(values, list) or Global not in set(map(type, values)):
        return False
    return any(isinstance(v, Global) and roles_of(v.key) != {"value"} for v in values)


def _state_values(node: ObjectNode) -> Iterator[tuple[str, Node]]:
    """The names in a state that a class reads by position."""
    for state in node.states:
        if isinstance(state, tuple):
            yield from (("the state", value) for value in state if isinstance(value, Global))


class _Walk:
    """A search of attribute values, which visits a shared container once for each position."""

    def __init__(self) -> None:
        self._known: set[tuple[int, str]] = set()

    def problem(self, attribute: str, value: Node) -> str | None:
        """Return why the value of an attribute is refused, or None."""
        waiting = [(attribute, value)]
        while waiting:
            where, node = waiting.pop()
            if why := _name_problem(where, node) or callables_values.keyword_problem(where, node):
                return why
            visit = (id(node), where if _is_position(where) else "")
            if visit in self._known or not isinstance(node, COMPOSITE):
                continue
            self._known.add(visit)
            for key, each in held(node):
                if isinstance(each, HOLDERS):
                    inner = "" if where in KEYWORDS else where
                    waiting.append((key if key is not None and _is_position(key) else inner, each))
        return None


def _is_position(key: str) -> bool:
    return key in KEYWORDS or admitted(key) is not None


def _name_problem(where: str, node: Node) -> str | None:
    """Return why a function or type is refused in a position, or None."""
    if isinstance(node, ObjectNode) and contract_name(node.cls.key) == "getattr":
        return _method_problem(where, node)
    if isinstance(node, ObjectNode) and class_key(node) in _WRAPPERS:
        return "a wrapper of a function, which no model has there"
    key = function_key(node)
    if key is None or standing(key) == "unknown":
        return None  # refused by its name, unless the user trusts it
    positions = admitted(where)
    if roles_of(key) & set(("value",) if positions is None else positions):
        return None
    role = " or ".join(sorted(roles_of(key))) or "name"
    return f"the {role} {key.replace(':', '.')}, which no model has there"


def _method_problem(where: str, node: ObjectNode) -> str | None:
    owner = node.args[0] if node.args else None
    if where in TEXT and (isinstance(owner, Global) or result_of("pattern")(owner)):
        return None
    known = is_known(class_key(owner)) if isinstance(owner, ObjectNode) else True
    return "a method, which no model has there" if known and where not in METHODS else None


def _problem_in_unknown_class(name: str, node: Node) -> str | None:
    """Return why a value is refused in a class that the user has to trust, or None.

    The class may inherit a method that calls the attribute. Its attributes may contain types, but
    no constructor that would use rows as a shape.
    """
    key = function_key(node) or ""
    if name in CALLED and key.startswith(_SHAPED) and "constructor" in roles_of(key):
        return f"the constructor {key.replace(':', '.')}, which no model has there"
    return None
