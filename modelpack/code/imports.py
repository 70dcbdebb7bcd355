"""What a file imports, wherever in it, and whether it can do without."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_DYNAMIC = {"import_module", "__import__"}
_MISSING = {"ImportError", "ModuleNotFoundError"}
_ALL = {"", "Exception", "BaseException"}


@dataclass(frozen=True)
class Import:
    """`module`: the dotted name, without the dots of a relative import; `level`: how many these
    are. `names`: what is taken from it ("*" is all); none of `import module`. `optional`: the file
    expects that it may be missing. `instead_of`: modules without which it is needed. `inner`:
    inside a function, so that it may never be reached.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()
    line: int = 0
    optional: bool = False
    instead_of: tuple[str, ...] = ()
    inner: bool = False


def imports(tree: ast.Module) -> list[Import]:
    """All imports of a file but those that only type checkers see, in the order of its lines."""
    found: list[Import] = []
    waiting: list[tuple[ast.AST, Import]] = [(tree, Import(""))]  # hostile trees may be deep
    while waiting:
        node, place = waiting.pop()
        found += _of(node, place)
        waiting += reversed(list(_below(node, place)))
    return found


def dynamic(tree: ast.Module) -> list[int]:
    """The lines that import what only running them would tell."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [c.lineno for c in calls if _called(c) in _DYNAMIC and _constant(c) is None]


def _of(node: ast.AST, place: Import) -> Iterator[Import]:
    """The imports that a node is. `place` tells what they have in common with those around it."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield replace(place, module=alias.name, line=node.lineno)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        module = node.module or ""
        yield replace(place, module=module, line=node.lineno, level=node.level, names=names)
    elif isinstance(node, ast.Call) and _called(node) in _DYNAMIC and (name := _constant(node)):
        yield replace(place, module=name, line=node.lineno)


def _below(node: ast.AST, place: Import) -> Iterator[tuple[ast.AST, Import]]:
    """The nodes inside a node, each with what is common to its imports."""
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        return _with(node.orelse, place)
    if isinstance(node, ast.Try) and _expects_missing(node):
        return _tried(node, place)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        place = replace(place, inner=True)
    return _with(ast.iter_child_nodes(node), place)


def _tried(node: ast.Try, place: Import) -> Iterator[tuple[ast.AST, Import]]:
    tried = (inner for statement in node.body for inner in ast.walk(statement))
    modules = tuple(found.module for inner in tried for found in _of(inner, place))
    yield from _with([*node.body, *node.orelse], replace(place, optional=True))
    yield from _with(node.handlers, replace(place, instead_of=modules))
    yield from _with(node.finalbody, place)


def _with(nodes: Iterable[ast.AST], place: Import) -> Iterator[tuple[ast.AST, Import]]:
    return ((node, place) for node in nodes)


def _is_type_checking(test: ast.expr) -> bool:
    return _last(test) == "TYPE_CHECKING"


def _expects_missing(node: ast.Try) -> bool:
    """Whether its imports may fail. Catching everything says so where nothing else is tried."""
    caught = {_last(kind) for handler in node.handlers for kind in _kinds(handler)}
    only = all(isinstance(tried, ast.Import | ast.ImportFrom) for tried in node.body)
    return bool(caught & _MISSING) or (only and bool(caught & _ALL))


def _kinds(handler: ast.ExceptHandler) -> list[ast.expr | None]:
    return [*handler.type.elts] if isinstance(handler.type, ast.Tuple) else [handler.type]


def _last(name: ast.expr | None) -> str:
    """The last word of a dotted name; empty of what is none."""
    return getattr(name, "attr", "") or getattr(name, "id", "")


def _called(call: ast.Call) -> str:
    return _last(call.func)


def _constant(call: ast.Call) -> str | None:
    """The module that a dynamic import names; None where it is computed, or relative to another."""
    first = call.args[0] if len(call.args) == 1 and not call.keywords else None
    value = first.value if isinstance(first, ast.Constant) else None
    return value if isinstance(value, str) and value.replace(".", "_").isidentifier() else None
