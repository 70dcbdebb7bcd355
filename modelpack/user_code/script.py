"""A training script as a module: only the definitions a model needs.

What trains, reads or writes at the top of the script is left out, so it does not run.
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
"""The module that stands for `__main__`."""

_QUIET = {
    "Counter", "Decimal", "Enum", "NamedTuple", "OrderedDict", "Path", "TypeVar", "TypedDict",
    "abs", "add", "append", "arange", "array", "bool", "compile", "defaultdict", "deque", "dict",
    "dirname", "dtype", "exp", "extend", "float", "float32", "float64", "frozenset", "getLogger",
    "int", "int32", "int64", "itemgetter", "join", "len", "linspace", "list", "log", "max", "min",
    "namedtuple", "ones", "partial", "range", "round", "set", "sorted", "split", "sqrt", "str",
    "sum", "timedelta", "tuple", "update", "zeros", "zip",
}  # fmt: skip
"""What a constant may call without being told of."""


_DEFINING = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class ExtractedModule:
    """`text`: of the module. `loud`: lines of the script that call something when it is loaded."""

    text: str
    tree: ast.Module
    loud: tuple[tuple[int, str], ...]


def names_defined(source: Source) -> set[str]:
    """The classes and functions at the top of a file, with the classes inside classes, dotted."""
    found: set[str] = set()
    waiting: list[tuple[str, ast.AST]] = [("", node) for node in _statements(source.tree)]
    while waiting:
        prefix, node = waiting.pop()
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            waiting += [(f"{prefix}{node.name}.", inner) for inner in node.body]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting += [(prefix, inner) for inner in ast.iter_child_nodes(node)]
    return found


def defines_method(source: Source, name: str, method: str) -> bool:
    """Whether a class at the top of a file, or one that it inherits from there, has a method."""
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
    """The module of a script that has `names`. `packages`: those that the script lies in, from
    which it may import relatively.

    Raises:
        UsageError: it does not define one of them.
    """
    statements = _statements(source.tree)
    missing = sorted(set(names) - {name for node in statements for name in bound_names(node)})
    if missing:
        raise UsageError(
            f"{source.path} does not define {', '.join(missing)}, which the model was saved with.",
            hint="Give the script that saved the model, as it was then: --code train.py",
        )
    kept = _needed(statements, set(names))
    pruned = [_absolute(node, packages) for node in kept]
    pieces = [_text(new, old, source, statements) for new, old in zip(pruned, kept, strict=True)]
    loud = tuple((node.lineno, _first_line(node)) for node in kept if _is_loud(node))
    text = _joined(source, pieces)
    return ExtractedModule(text, ast.parse(text), loud)


def _statements(tree: ast.Module) -> list[ast.stmt]:
    """The statements of the module, those under `if __name__ == "__main__":` among them."""
    found: list[ast.stmt] = []
    for node in tree.body:
        found += node.body if isinstance(node, ast.If) and _is_guard(node) else [node]
    return found


def _is_guard(node: ast.If) -> bool:
    """Whether it runs only in a script."""
    return ast.unparse(node.test) in {"__name__ == '__main__'", "'__main__' == __name__"}


def _needed(statements: Sequence[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """The statements that set the names, and those that set what these refer to, and so on."""
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
    """The values that a statement changes in place: `STOP.add("a")`, `WORDS["a"] = 1`. What is
    called of a module or a class is the script at work.
    """
    changes = changed(node)
    if not changes:
        return set()
    defined = {
        name for other in statements if isinstance(other, _DEFINING) for name in bound_names(other)
    }
    return {name for name, called in changes if not (called and name in defined)}


def _is_wholesale(node: ast.stmt) -> bool:
    """Imports of which nobody can tell what they bind, or that change how the text is read."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
    return "*" in names or (bool(names) and getattr(node, "module", "") == "__future__")


def _pruned(node: ast.stmt, known: set[str]) -> ast.stmt:
    """An import without the names that nothing refers to."""
    if not isinstance(node, ast.Import | ast.ImportFrom) or _is_wholesale(node):
        return node
    names = [a for a in node.names if (a.asname or a.name).partition(".")[0] in known]
    if len(names) == len(node.names):
        return node
    if isinstance(node, ast.Import):
        return ast.copy_location(ast.Import(names), node)
    return ast.copy_location(ast.ImportFrom(node.module, names, node.level), node)


def _absolute(node: ast.stmt, packages: Sequence[str]) -> ast.stmt:
    """A relative import as an absolute one: the new module lies in no package."""
    if not isinstance(node, ast.ImportFrom) or not 0 < node.level <= len(packages):
        return node
    above = packages[: len(packages) - node.level + 1]
    module = ".".join([*above, *filter(None, [node.module])])
    return ast.copy_location(ast.ImportFrom(module, node.names, 0), node)


def _text(new: ast.stmt, old: ast.stmt, source: Source, statements: Sequence[ast.stmt]) -> str:
    """The statement as it was written, where it has its lines for itself."""
    first, last = _lines(old)
    there = [1 for start, end in map(_lines, statements) if start <= last and first <= end]
    if new is not old or len(there) > 1 or old not in source.tree.body:
        return ast.unparse(new)
    lines = source.text.split("\n")  # as Python counts them
    while first > 1 and lines[first - 2].startswith("#") and not lines[first - 2].startswith("#!"):
        first -= 1
    return "\n".join(lines[first - 1 : last])


def _lines(node: ast.stmt) -> tuple[int, int]:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]), node.end_lineno or node.lineno


def _is_loud(node: ast.stmt) -> bool:
    """Whether loading it calls more than what makes constants."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import):
        return False
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    return bool(names - _QUIET)


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).splitlines()[0][:60]


def _joined(source: Source, pieces: Sequence[str]) -> str:
    name = ascii(source.path.name)[1:-1]
    head = (
        f"# Definitions of {name}, the script that saved the model, and what they refer to.\n"
        "# The rest of the script is not here, so it does not run.\n"
    )
    text = head + "\n"
    for piece, before in zip(pieces, ["", *pieces], strict=False):
        are_lines = "\n" not in piece and "\n" not in before
        text += ("" if not before or are_lines else "\n\n") + piece + "\n"
    return text


def bound_names(statement: ast.stmt) -> set[str]:
    """The module's names that the statement sets, at once or by `global` in a function."""
    return {
        symbol.get_name()
        for table in _tables(statement)
        for symbol in table.get_symbols()
        if (symbol.is_assigned() or symbol.is_imported()) and _is_of_module(table, symbol)
    }


def referenced_names(statement: ast.stmt) -> set[str]:
    """The module's names that the statement, or a function or class in it, may look up."""
    return {
        symbol.get_name()
        for table in _tables(statement)
        for symbol in table.get_symbols()
        if (symbol.is_referenced() and _is_of_module(table, symbol))
        or _may_fall_back(table, symbol)
    }


def changed(statement: ast.stmt) -> set[tuple[str, bool]]:
    """The names of whose value the statement sets an attribute or item, or (True) calls a method,
    outside functions and classes.
    """
    found: set[tuple[str, bool]] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            found.add((_base(node), False))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.add((_base(node.value.func), True))
    return found - {("", True), ("", False)}


def _base(node: ast.expr) -> str:
    """`a` of `a.b[0].c`; empty of what is a name alone, or begins with none."""
    if isinstance(node, ast.Name):
        return ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_of_module(table: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    return table.get_type() == "module" or symbol.is_global()


def _may_fall_back(table: symtable.SymbolTable, symbol: symtable.Symbol) -> bool:
    """In the body of a class, a name is looked up in the module until the class has set it."""
    return str(table.get_type()) == "class" and symbol.is_referenced()


class _Comprehensions(ast.NodeTransformer):
    """Turns comprehensions outside of functions into functions, which they were until Python 3.12
    (PEP 709): its tables give their variables to the scope around.
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
        return node  # which does set a name around it
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
