"""Extraction of the definitions that a model needs from a training script.

Other statements of the script, which train, read or write, are left out and do not run.
"""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelpack.errors import UsageError

from .source import Source

MAIN = "modelpack_main"
"""The module that replaces `__main__`."""

_QUIET = {
    "Counter", "Decimal", "Enum", "NamedTuple", "OrderedDict", "Path", "TypeVar", "TypedDict",
    "abs", "add", "append", "arange", "array", "bool", "compile", "defaultdict", "deque", "dict",
    "dirname", "dtype", "exp", "extend", "float", "float32", "float64", "frozenset", "getLogger",
    "int", "int32", "int64", "itemgetter", "join", "len", "linspace", "list", "log", "max", "min",
    "namedtuple", "ones", "partial", "range", "round", "set", "sorted", "split", "sqrt", "str",
    "sum", "timedelta", "tuple", "update", "zeros", "zip",
}  # fmt: skip
"""Functions that a constant may call without a note."""


_DEFINING = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class ExtractedModule:
    """A module of definitions. `loud`: lines of the script with calls that run on import."""

    text: str
    tree: ast.Module
    loud: tuple[tuple[int, str], ...]


def names_defined(source: Source) -> set[str]:
    """Return the classes and functions at the top of a file, and nested ones by dotted names."""
    names: set[str] = set()
    waiting: list[tuple[str, ast.AST]] = [("", node) for node in _statements(source.tree)]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            waiting += [(f"{prefix}{node.name}.", inner) for inner in node.body]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting += [(prefix, inner) for inner in ast.iter_child_nodes(node)]
    return names


def defines_method(source: Source, name: str, method: str) -> bool:
    """Return whether a class of a file, or a base class of it in this file, has a method."""
    classes = {
        node.name: node for node in _statements(source.tree) if isinstance(node, ast.ClassDef)
    }
    waiting, seen = [name], set[str]()
    while waiting:
        node = classes.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if any(method in bound_names(statement) for statement in node.body):
            return True
        waiting += [base.id for base in node.bases if isinstance(base, ast.Name)]
    return False


def extract(source: Source, names: Iterable[str], packages: Sequence[str] = ()) -> ExtractedModule:
    """Extract `names`, and the names that they refer to, from a script.

    `packages` are those that contain the script, for its relative imports.

    Raises:
        UsageError: The script does not define a name.
    """
    statements = _statements(source.tree)
    missing = sorted(set(names) - {name for node in statements for name in bound_names(node)})
    if missing:
        raise UsageError(
            f"{source.path} does not define {', '.join(missing)}, which the model needs.",
            hint="Give the version of the script that saved the model: --code FILE.py",
        )
    kept = _needed(statements, set(names))
    pruned = [_absolute(node, packages) for node in kept]
    pieces = [_text(new, old, source, statements) for new, old in zip(pruned, kept, strict=True)]
    loud = tuple((node.lineno, _first_line(node)) for node in kept if _is_loud(node))
    text = _joined(source, pieces)
    return ExtractedModule(text, ast.parse(text), loud)


def _statements(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of a module, including those under `if __name__ == "__main__":`."""
    statements: list[ast.stmt] = []
    for node in tree.body:
        statements += node.body if isinstance(node, ast.If) and _is_guard(node) else [node]
    return statements


def _is_guard(node: ast.If) -> bool:
    """Return whether the body runs only in a script."""
    return ast.unparse(node.test) in {"__name__ == '__main__'", "'__main__' == __name__"}


def _needed(statements: Sequence[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """Return the statements that set the names, those that set names they refer to, and so on."""
    sets = [bound_names(node) | _changed(node, statements) for node in statements]
    kept = {i for i, node in enumerate(statements) if _is_wholesale(node)}
    known, waiting = set[str](), set(names)
    while waiting:
        known |= waiting
        chosen = {i for i, names in enumerate(sets) if names & waiting} - kept
        kept |= chosen
        waiting = {name for i in chosen for name in referenced_names(statements[i])} - known
    return [_pruned(statements[i], known) for i in sorted(kept)]


def _changed(node: ast.stmt, statements: Sequence[ast.stmt]) -> set[str]:
    """Return the names of values that a statement changes in place: `STOP.add("a")`.

    A call of a function of a module or class is not a change: it is part of the training.
    """
    changes = changed(node)
    if not changes:
        return set()
    defined = {
        name for other in statements if isinstance(other, _DEFINING) for name in bound_names(other)
    }
    return {name for name, called in changes if not (called and name in defined)}


def _is_wholesale(node: ast.stmt) -> bool:
    """Return whether it is an import of unknown names, or from `__future__`."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
    return "*" in names or (bool(names) and getattr(node, "module", "") == "__future__")


def _pruned(node: ast.stmt, known: set[str]) -> ast.stmt:
    """Return an import without unused names."""
    if not isinstance(node, ast.Import | ast.ImportFrom) or _is_wholesale(node):
        return node
    names = [a for a in node.names if (a.asname or a.name).partition(".")[0] in known]
    if len(names) == len(node.names):
        return node
    if isinstance(node, ast.Import):
        return ast.copy_location(ast.Import(names), node)
    return ast.copy_location(ast.ImportFrom(node.module, names, node.level), node)


def _absolute(node: ast.stmt, packages: Sequence[str]) -> ast.stmt:
    """Return a relative import as an absolute one, since the new module is not in a package."""
    if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(packages):
        return node
    above = packages[: len(packages) - node.level + 1]
    module = ".".join([*above, *filter(None, [node.module])])
    return ast.copy_location(ast.ImportFrom(module, node.names, 0), node)


def _text(new: ast.stmt, old: ast.stmt, source: Source, statements: Sequence[ast.stmt]) -> str:
    """Return the text of a statement: the original lines if no other statement shares them."""
    first, last = _lines(old)
    sharing = sum(start <= last and first <= end for start, end in map(_lines, statements))
    if new is not old or sharing > 1 or old not in source.tree.body:
        return ast.unparse(new)
    lines = source.text.split("\n")  # like the line numbers of Python
    while first > 1 and lines[first - 2].startswith("#") and not lines[first - 2].startswith("#!"):
        first -= 1
    return "\n".join(lines[first - 1 : last])


def _lines(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]), node.end_lineno or node.lineno


def _is_loud(node: ast.stmt) -> bool:
    """Return whether importing it calls functions that are not in `_QUIET`."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import):
        return False
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    return bool(names - _QUIET)


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).splitlines()[0][:60]


def _joined(source: Source, pieces: Sequence[str]) -> str:
    name = repr(source.path.name)[1:-1]
    head = (
        f"# Definitions of {name}, the script that saved the model, and what they refer to.\n"
        "# The rest of the script is left out, so it does not run.\n"
    )
    text = head + "\n"
    for piece, before in zip(pieces, ["", *pieces], strict=False):
        are_lines = "\n" not in piece and "\n" not in before
        text += ("" if not before or are_lines else "\n\n") + piece + "\n"
    return text


def bound_names(statement: ast.stmt) -> set[str]:
    """Return the names of the module that a statement sets, also by `global` in a function."""
    return {
        symbol.get_name()
        for table in _tables(statement)
        for symbol in table.get_symbols()
        if (symbol.is_assigned() or symbol.is_imported()) and _is_of_module(table, symbol)
    }


def referenced_names(statement: ast.stmt) -> set[str]:
    """Return the names of the module that a statement, or code in it, may look up."""
    return {
        symbol.get_name()
        for table in _tables(statement)
        for symbol in table.get_symbols()
        if (symbol.is_referenced() and _is_of_module(table, symbol))
        or _may_fall_back(table, symbol)
    }


def changed(statement: ast.stmt) -> set[tuple[str, bool]]:
    """Return names whose attributes or items the statement sets, or (True) whose methods it calls.

    Functions and classes in the statement are ignored.
    """
    changes: set[tuple[str, bool]] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changes.add((_base(node), False))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            changes.add((_base(node.value.func), True))
    return changes - {("", True), ("", False)}


def _base(node: ast.expr) -> str:
    """Return `a` for `a.b[0].c`; "" for a single name, or if it does not begin with a name."""
    if isinstance(node, ast.Name):
        return ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_of_module(table: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    return table.get_type() == "module" or symbol.is_global()


def _may_fall_back(table: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    """Return whether it is a name in a class body, looked up in the module until it is set."""
    return str(table.get_type()) == "class" and symbol.is_referenced()


class _Comprehensions(ast.NodeTransformer):
    """Converts comprehensions outside functions to functions, as before Python 3.12.

    Since PEP 709, symbol tables assign their variables to the enclosing scope.
    """

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return node
        self.generic_visit(node)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            return _as_function(node)
        return node


def _as_function(node: ast.ListComp | ast.SetComp | ast.DictComp) -> ast.expr:
    if any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)):
        return node  # it sets a name of the enclosing scope
    first, node.generators[0].iter = node.generators[0].iter, ast.Name("first", ast.Load())
    arguments = ast.arguments([], [ast.arg("first")], None, [], [], None, [])
    return ast.Call(ast.Lambda(arguments, node), [first], [])


def _tables(statement: ast.stmt) -> Iterator[symtable.SymbolTable]:
    copy = ast.parse(ast.unparse(ast.Module([statement], [])))
    text = ast.unparse(_Comprehensions().visit(copy))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        waiting = [symtable.symtable(text, "statement", "exec")]
    while waiting:
        table = waiting.pop()
        yield table
        waiting += table.get_children()
