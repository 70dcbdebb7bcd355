"""Attributes of a class, and those that its methods set on its objects."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from .modules import dotted_name, named, statements

Kind = Literal["method", "property", "value", "data"]
"""`property`: comes before an attribute of an object. `value`: the result of an expression, which
may be a function. `data`: a literal.
"""

_LITERALS = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.JoinedStr,
    ast.DictComp, ast.ListComp, ast.SetComp, ast.Compare,
)  # fmt: skip
_CACHED = "cached_property"
_PROPERTIES = {"setter", "getter", "deleter", "cache_readonly", "cache_writable"}
_REQUESTS = (
    "fit", "partial_fit", "predict", "predict_proba", "predict_log_proba", "decision_function",
    "score", "split", "transform", "inverse_transform",
)  # fmt: skip
_METADATA = "_metadata"  # pandas puts the attributes that it names into the state
_STATES = {"__getstate__", "__setstate__", "__reduce__", "__reduce_ex__"}


@dataclass
class Attributes:
    """Attributes of a class by themselves, without those of its bases.

    Attributes:
        kinds: What its body defines.
        stored: Names that its methods set on `self`.
        forced: Names that they set in the dict of `self`, past any property.
        pickled: Names that the methods which make and take its state may put into it.
        bases: Names of its bases, as the module knows them.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    forced: set[str] = field(default_factory=set)
    pickled: set[str] = field(default_factory=set)
    bases: list[str] = field(default_factory=list)


def attributes(definition: ast.ClassDef) -> Attributes:
    """Return the attributes in the body of a class."""
    found = Attributes()
    for base in definition.bases:
        found.bases += named(base)
    for statement in statements(definition.body):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            _note_function(found, statement)
        elif isinstance(statement, ast.ClassDef):
            _note(found, statement.name, "method")
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                _note_value(found, target, statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            _note_value(found, statement.target, statement.value)
    if definition.name == "_MetadataRequester":  # its `__init_subclass__` adds them
        found.kinds |= dict.fromkeys((f"set_{name}_request" for name in _REQUESTS), "method")
    found.kinds = {_mangled(definition.name, name): kind for name, kind in found.kinds.items()}
    found.stored = {_mangled(definition.name, name) for name in found.stored}
    return found


def _mangled(cls: str, name: str) -> str:
    """Return a name as Python keeps it that is written in the body of a class."""
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.lstrip('_')}{name}" if is_private else name


def _note(owner: Attributes, name: str, kind: Kind) -> None:
    if owner.kinds.get(name) in {None, "data", "value"}:
        owner.kinds[name] = kind


def _note_function(owner: Attributes, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    kind = _function_kind(function)
    _note(owner, function.name, kind)
    if kind == "value":  # kept as an attribute once it is known
        owner.stored.add(function.name)
    if any(dotted_name(each) == "classmethod" for each in function.decorator_list):
        for name in _stored(function):
            _note(owner, name, "method")
    else:
        owner.stored.update(_stored(function))
    owner.forced.update(_forced(function))
    if function.name in _STATES:
        owner.pickled.update(_texts(function))


def _note_value(owner: Attributes, target: ast.expr, value: ast.expr) -> None:
    for name in _names(target):
        _note(owner, name, _value_kind(value))
        if name == _METADATA:
            owner.pickled.update(_texts(value))


def _function_kind(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Kind:
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = dotted_name(called).rpartition(".")[2]
        if name == _CACHED:
            return "value"
        if name.endswith("property") or name in _PROPERTIES:
            return "property"
    return "method"


def _value_kind(value: ast.expr) -> Kind:
    if isinstance(value, _LITERALS):
        return "data"
    if isinstance(value, ast.Call) and dotted_name(value.func).lower().endswith("property"):
        return "property"
    return "value"


def _stored(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    arguments = [*function.args.posonlyargs, *function.args.args]
    if not arguments:
        return
    this = arguments[0].arg
    for node in ast.walk(function):
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_set and isinstance(node.value, ast.Name) and node.value.id == this:
            yield node.attr


def _forced(function: ast.AST) -> Iterator[str]:
    """Yield the names in assignments such as `self.__dict__["name"] = value`."""
    for node in ast.walk(function):
        is_set = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
        if is_set and dotted_name(node.value).endswith(".__dict__"):
            yield from _texts(node.slice)


def _texts(function: ast.AST) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def _names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _names(part)
