"""Which names of its module a statement binds, and which it refers to: by Python's own scopes."""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Iterator


def bound(statement: ast.stmt) -> set[str]:
    """The module's names that the statement sets, at once or by `global` in a function."""
    return {
        symbol.get_name()
        for table in _tables(statement)
        for symbol in table.get_symbols()
        if (symbol.is_assigned() or symbol.is_imported()) and _is_of_module(table, symbol)
    }


def referred(statement: ast.stmt) -> set[str]:
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
