"""One source file, parsed; the imports it contains."""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from modelpack.errors import UsageError

OLDEST_MINOR = 7  # of the oldest Python 3 that models are served on


@dataclass(frozen=True)
class Source:
    """`sha256`: of its bytes. `minor`: the oldest Python 3 that has all of its syntax."""

    path: Path
    text: str
    tree: ast.Module
    sha256: str
    minor: int


def read(path: Path) -> Source:
    """A file of Python.

    Raises:
        UsageError: it is too large, cannot be read, or is no Python.
    """
    content = _content(path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UsageError(
            f"{path} is not in the encoding that it should be in: {error}.",
            hint="Save it as UTF-8, or name its encoding in the first line: # coding: latin-1",
        ) from error
    tree, minor = _parsed(path, text)
    return Source(path, text, tree, hashlib.sha256(content).hexdigest(), minor)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Check that you may read the file."
        ) from error
    if len(content) > FILE_BYTES:
        raise UsageError(
            f"{path} is larger than {FILE_BYTES:,} bytes, which no file of code is.",
            hint="Keep data in a distribution, or out of the module that the model needs.",
        )
    return content


def _parsed(path: Path, text: str) -> tuple[ast.Module, int]:
    """The tree, and the oldest minor version of Python 3 whose parser takes the text."""
    for minor in range(OLDEST_MINOR, sys.version_info.minor + 1):
        try:
            return _tree(text, minor), minor
        except SyntaxError as error:
            problem = error
        except (ValueError, RecursionError, MemoryError) as error:
            raise UsageError(
                f"{path} cannot be parsed: {error or type(error).__name__}.",
                hint="The module that the model needs has to be a file of Python.",
            ) from error
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise UsageError(
        f"{path}, line {problem.lineno}, is no Python {version}: {problem.msg}.",
        hint="Mend the line. Code for a newer Python is read by a modelpack that runs on it; code "
        "for Python 2 cannot be served.",
    )


def _tree(text: str, minor: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escapes in strings, which still work
        return ast.parse(text, feature_version=(3, minor))


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
        found += _imports_from_node(node, place)
        waiting += reversed(list(_below(node, place)))
    return found


def dynamic(tree: ast.Module) -> list[int]:
    """The lines that import what only running them would tell."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [c.lineno for c in calls if _called(c) in _DYNAMIC and _constant(c) is None]


def _imports_from_node(node: ast.AST, place: Import) -> Iterator[Import]:
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
    modules = tuple(found.module for inner in tried for found in _imports_from_node(inner, place))
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


FILE_BYTES = 2**20
FILES = 1_000
