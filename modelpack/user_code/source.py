"""A parsed source file, and the imports that it contains."""

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
    """A Python file. `minor`: the oldest minor version of Python 3 that supports its syntax."""

    path: Path
    text: str
    tree: ast.Module
    sha256: str
    minor: int


def read(path: Path) -> Source:
    """Read and parse a Python file.

    Raises:
        UsageError: It is too large, cannot be read, or is not Python.
    """
    return parse(path, _content(path))


def parse(path: Path, content: bytes) -> Source:
    """Parse the content of a Python file.

    Raises:
        UsageError: It is not Python.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UsageError(
            f"{path} is not valid in its encoding: {error}.",
            hint="Save it as UTF-8, or declare its encoding in the first line: # coding: latin-1",
        ) from error
    tree, minor = _parse(path, text)
    return Source(path, text, tree, hashlib.sha256(content).hexdigest(), minor)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the permissions of the file."
        ) from error
    if len(content) > FILE_BYTES:
        raise UsageError(
            f"{path} is larger than {FILE_BYTES:,} bytes, too large for a code file.",
            hint="Move data out of the module, or into a distribution.",
        )
    return content


def _parse(path: Path, text: str) -> tuple[ast.Module, int]:
    """Return the tree, and the oldest minor version of Python 3 that parses the text."""
    for minor in range(OLDEST_MINOR, sys.version_info.minor + 1):
        try:
            return _tree(text, minor), minor
        except SyntaxError as error:
            problem = error
        except (ValueError, RecursionError, MemoryError) as error:
            raise UsageError(
                f"{path} cannot be parsed: {str(error) or 'it is nested too deeply'}.",
                hint="Split its longest expression, or keep data out of the file.",
            ) from error
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise UsageError(
        f"{path}, line {problem.lineno}, is not valid in Python {version}: {problem.msg}.",
        hint="Correct the line. If the code is for a newer Python, run modelpack on that version. "
        "Code for Python 2 cannot be served.",
    )


def _tree(text: str, minor: int) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in strings, which still work
        return ast.parse(text, feature_version=(3, minor))


_DYNAMIC = {"import_module", "__import__"}
_MISSING = {"ImportError", "ModuleNotFoundError"}
_ALL = {"", "Exception", "BaseException"}


@dataclass(frozen=True)
class Import:
    """An import.

    Attributes:
        module: The dotted name, without the leading dots of a relative import.
        level: The number of leading dots.
        names: The imported names; empty for `import module`.
        optional: Whether the file handles a missing module.
        instead_of: Modules that it replaces if they are missing.
        inner: Whether it is in a function, and so may never run.
    """

    module: str
    level: int = 0
    names: tuple[str, ...] = ()
    line: int = 0
    optional: bool = False
    instead_of: tuple[str, ...] = ()
    inner: bool = False


def imports(tree: ast.Module) -> list[Import]:
    """Return the imports of a file by line, without those for type checkers."""
    result: list[Import] = []
    waiting: list[tuple[ast.AST, Import]] = [(tree, Import(""))]  # hostile trees may be deep
    while waiting:
        node, context = waiting.pop()
        result += _imports_from_node(node, context)
        waiting += reversed(list(_below(node, context)))
    return result


def dynamic(tree: ast.Module) -> list[int]:
    """Return the lines that import a computed name."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [c.lineno for c in calls if _called(c) in _DYNAMIC and _constant(c) is None]


def _imports_from_node(node: ast.AST, context: Import) -> Iterator[Import]:
    """Yield the imports of a node itself. `context` has the attributes of its surroundings."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield replace(context, module=alias.name, line=node.lineno)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        module = node.module or ""
        yield replace(context, module=module, line=node.lineno, level=node.level, names=names)
    elif isinstance(node, ast.Call) and _called(node) in _DYNAMIC and (name := _constant(node)):
        yield replace(context, module=name, line=node.lineno)


def _below(node: ast.AST, context: Import) -> Iterator[tuple[ast.AST, Import]]:
    """Yield the nodes inside a node, each with the context of its imports."""
    if isinstance(node, ast.If) and _last(node.test) == "TYPE_CHECKING":
        return _with(node.orelse, context)
    if isinstance(node, ast.Try) and _expects_missing(node):
        return _tried(node, context)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        context = replace(context, inner=True)
    return _with(ast.iter_child_nodes(node), context)


def _tried(node: ast.Try, context: Import) -> Iterator[tuple[ast.AST, Import]]:
    tried = (inner for statement in node.body for inner in ast.walk(statement))
    modules = tuple(
        import_.module for inner in tried for import_ in _imports_from_node(inner, context)
    )
    yield from _with([*node.body, *node.orelse], replace(context, optional=True))
    yield from _with(node.handlers, replace(context, instead_of=modules))
    yield from _with(node.finalbody, context)


def _with(nodes: Iterable[ast.AST], context: Import) -> Iterator[tuple[ast.AST, Import]]:
    return ((node, context) for node in nodes)


def _expects_missing(node: ast.Try) -> bool:
    """Return whether imports in a `try` may fail. Its handlers catch import errors, or all errors
    if the body contains only imports.
    """
    caught = {_last(kind) for handler in node.handlers for kind in _kinds(handler)}
    only = all(isinstance(tried, ast.Import | ast.ImportFrom) for tried in node.body)
    return bool(caught & _MISSING) or (only and bool(caught & _ALL))


def _kinds(handler: ast.ExceptHandler) -> list[ast.expr | None]:
    return [*handler.type.elts] if isinstance(handler.type, ast.Tuple) else [handler.type]


def _last(name: ast.expr | None) -> str:
    """Return the last part of a dotted name; "" for other expressions."""
    return getattr(name, "attr", "") or getattr(name, "id", "")


def _called(call: ast.Call) -> str:
    return _last(call.func)


def _constant(call: ast.Call) -> str | None:
    """Return the module of a dynamic import. None if it is computed or relative."""
    first = call.args[0] if len(call.args) == 1 and not call.keywords else None
    value = first.value if isinstance(first, ast.Constant) else None
    return value if isinstance(value, str) and value.replace(".", "_").isidentifier() else None


FILE_BYTES = 2**20
FILES = 1_000
