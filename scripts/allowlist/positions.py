"""Parameters of estimators that take functions or types, read from source: nothing is imported.

A parameter counts if its constraints hold `callable`, or if the docstring of its class calls it a
callable, a function or a dtype. Releases before 1.2 have no constraints.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .interpreted import LEFT_OUT

_CONSTRAINTS = "_parameter_constraints"
_DOCUMENTED = re.compile(r"^ {0,8}(\*{0,2}\w+(?:, \w+)*) ?: (.*)$", re.MULTILINE)
_WORDS = re.compile(r"\b(callable|function|dtype|number type)\b")


def read(folder: Path) -> Iterator[str]:
    """Read the entries "package:parameter" of an installed package's folder."""
    for path in sorted(folder.rglob("*.py")):
        if not LEFT_OUT & set(path.relative_to(folder).parts[:-1]):
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.ClassDef):
                    own = {*_constrained(node), *_documented(node)} & _parameters(node)
                    yield from (f"{folder.name}:{name}" for name in own)


def _parameters(node: ast.ClassDef) -> set[str]:
    """The names of the parameters of its `__init__`; parameters are attributes of the same name."""
    found = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    return {a.arg for f in found for a in (*f.args.args, *f.args.kwonlyargs)} - {"self"}


def _constrained(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        value = getattr(statement, "value", None)
        if any(isinstance(t, ast.Name) and t.id == _CONSTRAINTS for t in targets):
            for part in ast.walk(value) if value is not None else ():
                if isinstance(part, ast.Dict):
                    yield from _callable_keys(part)


def _callable_keys(node: ast.Dict) -> Iterator[str]:
    for key, value in zip(node.keys, node.values, strict=True):
        names = {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and "callable" in names:
            yield key.value


def _documented(node: ast.ClassDef) -> Iterator[str]:
    text = ast.get_docstring(node) or ""
    init = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    for documented in (text, *(ast.get_docstring(f) or "" for f in init)):
        for match in _DOCUMENTED.finditer(documented):
            if _WORDS.search(match[2]):
                yield from (name.lstrip("*") for name in match[1].split(", "))
