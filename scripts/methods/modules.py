"""The classes of a release, read from its sources: nothing is imported, nothing is executed.

A name is resolved as Python would resolve it, by definitions, imports and assignments at the top of
its module. Compiled modules have no source here, and facts that only running code has are missing:
names that `exec` defines, or that a loop adds to a class.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

Key = tuple[str, str]
"""Module and name."""


@dataclass
class Module:
    """The names that the top of a module binds.

    Attributes:
        classes: Definitions of classes by name; of several, all.
        imports: Names that other modules define; an empty name means a module.
        stars: Modules whose names are all imported.
        aliases: Names of other expressions.
        added: Attributes that statements behind a class give to it, by class.
        wrapped: Classes whose methods `populate_wrapper` of statsmodels copies, by class.
    """

    name: str
    classes: dict[str, list[ast.ClassDef]] = field(default_factory=dict)
    imports: dict[str, Key] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    added: dict[str, list[str]] = field(default_factory=dict)
    wrapped: dict[str, ast.expr] = field(default_factory=dict)


class Sources:
    """The modules of one release of one distribution."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, Module | None] = {}

    @cached_property
    def packages(self) -> frozenset[str]:
        """Names of the packages at the top."""
        return frozenset(path.parent.name for path in self.root.glob("*/__init__.py"))

    def module(self, name: str) -> Module | None:
        """Return a module by its dotted name; None if it has no source here."""
        if name not in self._read:
            self._read[name] = self._parsed(name)
        return self._read[name]

    def resolve(self, module: str, name: str) -> Iterator[Key]:
        """Yield where the classes of a name are defined, such as `a.b`, seen from a module. A name
        outside of the sources is yielded unchanged.
        """
        yield from self._resolve(module, name, set())

    def _parsed(self, name: str) -> Module | None:
        base = self.root.joinpath(*name.split("."))
        path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if not path.is_file():
            return None
        module = Module(name)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        _bind(module, package, ast.parse(path.read_bytes()).body)
        return module

    def _resolve(self, where: str, name: str, seen: set[Key]) -> Iterator[Key]:
        if (where, name) in seen:
            return
        seen.add((where, name))
        module = self.module(where)
        if module is None:
            yield (where, name)
            return
        first, _, rest = name.partition(".")
        if not rest and first in module.classes:
            yield (where, first)
        if not rest and first in module.aliases:
            for other in named(module.aliases[first]):
                yield from self._resolve(where, other, seen)
        if first in module.imports:
            source, imported = module.imports[first]
            yield from self._imported(source, imported, rest, seen)
        elif rest and self.module(f"{where}.{first}"):
            yield from self._resolve(f"{where}.{first}", rest, seen)
        elif first not in module.classes and first not in module.aliases:
            for star in module.stars:
                if self.module(star):
                    yield from self._resolve(star, name, seen)

    def _imported(self, source: str, name: str, rest: str, seen: set[Key]) -> Iterator[Key]:
        if not name:  # `import a.b as c`, then `c.Class`
            if rest:
                yield from self._resolve(*_split(self, source, rest), seen)
        elif rest and self.module(f"{source}.{name}"):
            yield from self._resolve(f"{source}.{name}", rest, seen)
        else:
            yield from self._resolve(source, f"{name}.{rest}" if rest else name, seen)


def _split(sources: Sources, module: str, rest: str) -> Key:
    """Return the module that is as long as it can be, and the name in it."""
    first, _, more = rest.partition(".")
    while more and sources.module(f"{module}.{first}"):
        module, rest = f"{module}.{first}", more
        first, _, more = rest.partition(".")
    return module, rest


def named(node: ast.expr) -> Iterator[str]:
    """Yield the dotted names that may mean a class: itself, or those that a call is given,
    such as `with_metaclass(ABCMeta, Base)`.
    """
    if isinstance(node, ast.Call):
        for argument in node.args:
            yield from named(argument)
    elif isinstance(node, ast.Subscript):
        yield from named(node.value)
    elif isinstance(node, ast.IfExp):
        yield from named(node.body)
        yield from named(node.orelse)
    elif dotted := dotted_name(node):
        yield dotted


def dotted_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted_name(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body and its branches, but not those of functions and classes."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            parts: Mapping[str, object] = vars(statement)
            for part in ("body", "orelse", "finalbody"):
                yield from statements(list(parts.get(part) or ()))  # type: ignore[call-overload]
            for handler in getattr(statement, "handlers", ()):
                yield from statements(handler.body)


def _bind(module: Module, package: str, body: list[ast.stmt]) -> None:
    for statement in statements(body):
        if isinstance(statement, ast.ClassDef):
            module.classes.setdefault(statement.name, []).append(statement)
        elif isinstance(statement, ast.ImportFrom):
            _import_from(module, package, statement)
        elif isinstance(statement, ast.Import):
            for each in statement.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                module.imports[each.asname or whole] = (whole, "")
        elif isinstance(statement, ast.Assign):
            _assigned(module, statement)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            called, arguments = dotted_name(statement.value.func), statement.value.args
            if called.endswith("populate_wrapper") and isinstance(arguments[0], ast.Name):
                module.wrapped[arguments[0].id] = arguments[1]


def _assigned(module: Module, statement: ast.Assign) -> None:
    for target in statement.targets:
        if isinstance(target, ast.Name):
            module.aliases[target.id] = statement.value
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            module.added.setdefault(target.value.id, []).append(target.attr)


def _import_from(module: Module, package: str, statement: ast.ImportFrom) -> None:
    source = statement.module or ""
    if statement.level:
        parts = package.split(".")
        kept = parts[: len(parts) - statement.level + 1]
        source = ".".join([*kept, source]) if source else ".".join(kept)
    for each in statement.names:
        if each.name == "*":
            module.stars.append(source)
        else:
            module.imports[each.asname or each.name] = (source, each.name)
