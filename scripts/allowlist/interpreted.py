"""Attributes of estimators that library code interprets, read from source: nothing is imported.

For each class it follows `self.ATTRIBUTE` through variables, `getattr(self, "ATTRIBUTE")`, calls of
functions and methods of the same package, into a place that gives text or an object a meaning of
its own. Functions that no method of prediction may reach by name are left out.

What this does not see: compiled modules, values that pass through containers of other objects or
other libraries, attributes that are set under computed names, and calls of functions that are
values. Names stand for all functions of that name, so that it finds rather too much.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PREDICTING = {
    "predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
    "score_samples", "inverse_transform", "__call__", "__getattr__", "__setstate__",
}  # fmt: skip
TRAINING = {"fit", "fit_predict", "fit_resample", "fit_transform", "partial_fit", "score"}
LEFT_OUT = {
    "externals",
    "tests",
    "testing",
    "datasets",
    "dask",
    "spark",
    "callback",
    "_plot",
    "plotting",
}

# The last part of what is called -> what it does with its arguments, and with which of them.
_SINKS: dict[str, tuple[str, int | None]] = {
    **dict.fromkeys(("getattr", "hasattr", "setattr", "delattr"), ("getattr", 1)),
    **dict.fromkeys(("attrgetter", "methodcaller", "itemgetter"), ("getattr", None)),
    **dict.fromkeys(("eval", "exec", "literal_eval"), ("eval", 0)),
    **dict.fromkeys(("__import__", "import_module", "locate"), ("import", 0)),
    **dict.fromkeys(
        ("dmatrix", "dmatrices", "ModelDesc", "build_design_matrices"), ("formula", None)
    ),
    **dict.fromkeys(("open", "memmap", "fromfile", "tofile", "NamedTemporaryFile"), ("open", None)),
}
_OF_MODULES: dict[str, tuple[set[str], str]] = {
    "re": ({"compile", "match", "search", "sub", "split", "fullmatch", "findall"}, "pattern"),
    "regex": ({"compile", "match", "search", "sub", "split", "fullmatch", "findall"}, "pattern"),
    "hashlib": ({"new"}, "getattr"),
    "joblib": ({"load", "dump", "Memory"}, "open"),
    "pickle": ({"load", "loads", "dump"}, "open"),
    "np": ({"load", "loadtxt", "save", "savez"}, "open"),
    "os": ({"system", "remove", "unlink", "makedirs", "mkdir", "rename"}, "open"),
}
_ASKED = PREDICTING - {"__call__", "__getattr__", "__setstate__"}
_OF_ARRAYS = {"T", "data", "dtype", "format", "indices", "indptr", "ndim", "shape", "size"}


@dataclass
class _Function:
    """One function of a package: `sinks` holds what its parameters reach, by their names."""

    owner: str  # its class, or ""
    node: ast.FunctionDef
    sinks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    found: set[tuple[str, str]] = field(default_factory=set)  # attribute, kind
    returned: set[str] = field(default_factory=set)  # the attributes that it returns

    @property
    def is_static(self) -> bool:
        return "staticmethod" in map(_last, self.node.decorator_list)

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        return [each.arg for each in (*arguments.posonlyargs, *arguments.args)]


def read(folder: Path) -> Iterator[str]:
    """Read the entries "package:Class.attribute kind" of an installed package's folder."""
    package = _Package(folder)
    for function in package.functions:
        if function.owner and function.node.name in package.reached:
            for attribute, kind in sorted(function.found):
                yield f"{folder.name}:{function.owner}.{attribute} {kind}"


class _Package:
    def __init__(self, folder: Path) -> None:
        self.functions: list[_Function] = []
        for path in sorted(folder.rglob("*.py")):
            if not LEFT_OUT & set(path.relative_to(folder).parts[:-1]):
                self._collect(ast.parse(path.read_bytes()), "")
        self.by_name: dict[str, list[_Function]] = defaultdict(list)
        for function in self.functions:
            self.by_name[function.node.name].append(function)
        self.reached = self._reached()
        self._settle()

    def _collect(self, node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                self._collect(child, child.name)
            elif isinstance(child, ast.FunctionDef):
                self.functions.append(_Function(owner, child))
                self._collect(child, owner)
            else:
                self._collect(child, owner)

    def _reached(self) -> set[str]:
        """The names of the functions that prediction may reach."""
        found: set[str] = set()
        waiting = sorted(PREDICTING)
        waiting += [f.node.name for f in self.functions if f.node.decorator_list]
        while waiting:
            name = waiting.pop()
            if name in found or name in TRAINING:
                continue
            found.add(name)
            for function in self.by_name[name]:
                waiting += {_last(n) for n in ast.walk(function.node)} - found & self.by_name.keys()
        return found

    def _settle(self) -> None:
        """Follow the values until nothing new is found: a caller learns of what it calls."""
        functions = [f for f in self.functions if f.node.name in self.reached]
        before = -1
        while (now := sum(map(_size, functions))) != before:
            before = now
            for function in functions:
                _Flow(function, self.by_name).run()


def _size(function: _Function) -> int:
    inside = len(function.found) + len(function.returned)
    return inside + sum(map(len, function.sinks.values()))


def _last(node: ast.AST) -> str:
    """The last part of a dotted name, or ""."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_table(name: str) -> bool:
    return (len(name) > 3 and name.isupper()) or name in {"globals", "locals"}


class _Flow(ast.NodeVisitor):
    """The values in one function: each variable -> the attributes and parameters in it."""

    def __init__(self, function: _Function, by_name: dict[str, list[_Function]]) -> None:
        self.function = function
        self.by_name = by_name
        names = function.parameters
        has_self = function.owner and names and not function.is_static
        self.me = names[0] if has_self else ""
        self.values: dict[str, set[str]] = {n: {n} for n in names if n != self.me}
        self.values |= {each.arg: {each.arg} for each in function.node.args.kwonlyargs}

    def run(self) -> None:
        for _ in range(2):  # the second time sees what loops carry on
            for statement in self.function.node.body:
                self.visit(statement)

    def of(self, node: ast.AST | None) -> set[str]:
        """What an expression is made of: ".attribute" of self, or the name of a parameter."""
        match node:
            case None | ast.Compare() | ast.Lambda():
                found: set[str] = set()
            case ast.Attribute():
                found = self._of_attribute(node)
            case ast.Name():
                found = self.values.get(node.id, set())
            case ast.Call():
                found = self._of_call(node)
            case ast.Subscript():
                found = self.of(node.value)
            case ast.IfExp():
                found = self.of(node.body) | self.of(node.orelse)
            case _:
                found = set().union(*map(self.of, ast.iter_child_nodes(node)))
        return found

    def _of_attribute(self, node: ast.Attribute) -> set[str]:
        if self._is_me(node.value):
            return self._own(node.attr)
        return set() if node.attr in _OF_ARRAYS else self.of(node.value)

    def _of_call(self, node: ast.Call) -> set[str]:
        name = _last(node.func)
        if name == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            return self._own(str(node.args[1].value)) if self._is_me(node.args[0]) else set()
        if name in {"zip", "enumerate", "list", "tuple", "iter", "chain", "check_array", "lower"}:
            return set().union(*map(self.of, node.args))
        if isinstance(node.func, ast.Attribute) and self._is_me(node.func.value):
            return self._returned(name)
        return set()

    def _is_me(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self.me != ""

    def _own(self, attribute: str) -> set[str]:
        """An attribute of self, and of a property what that returns."""
        return {f".{attribute}"} | self._returned(attribute)

    def _returned(self, name: str) -> set[str]:
        return set().union(*(each.returned for each in self.by_name.get(name, ()) if each.owner))

    def _set(self, target: ast.AST, values: set[str]) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and values:
                self.values[node.id] = self.values.get(node.id, set()) | values

    def _pairs(self, target: ast.AST, source: ast.AST) -> None:
        """Assign what is iterated or unpacked, part by part where that shows."""
        zipped = isinstance(source, ast.Call) and _last(source.func) == "zip"
        parts = source.args if zipped and isinstance(source, ast.Call) else []
        if isinstance(target, ast.Tuple) and len(target.elts) == len(parts):
            for each, part in zip(target.elts, parts, strict=True):
                self._set(each, self.of(part))
        else:
            self._set(target, self.of(source))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._set(target, self.of(node.value))

    def visit_Return(self, node: ast.Return) -> None:
        self.function.returned |= {value for value in self.of(node.value) if value[0] == "."}
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self.function.returned |= {value for value in self.of(node.value) if value[0] == "."}
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _ASKED:  # called at once, or handed on
            self._note(self.of(node.value), "member")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self._pairs(node.target, node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._pairs(node.target, node.iter)
        self.generic_visit(node)

    def _comprehended(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.comprehension):
                self.visit(child)
        self.generic_visit(node)

    visit_ListComp = visit_GeneratorExp = visit_SetComp = visit_DictComp = _comprehended  # noqa: N815

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Mod) and isinstance(node.right, ast.Tuple | ast.Dict):
            self._note(self.of(node.left), "format")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        name = _last(node.value)
        if _is_table(name):
            self._note(self.of(node.slice), "lookup")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _last(node.func)
        arguments = [*node.args, *(each.value for each in node.keywords)]
        if name in _SINKS:
            kind, place = _SINKS[name]
            for value in arguments if place is None else arguments[place : place + 1]:
                self._note(self.of(value), kind)
        if isinstance(node.func, ast.Attribute):
            self._of_method(node.func, arguments)
        self._passed(node, name)
        self.generic_visit(node)

    def _of_method(self, func: ast.Attribute, arguments: Iterable[ast.AST]) -> None:
        names, kind = _OF_MODULES.get(_last(func.value), (set(), ""))
        if func.attr in names:
            for value in arguments:
                self._note(self.of(value), kind)
        elif func.attr in {"format", "format_map"}:
            self._note(self.of(func.value), "format")
        elif func.attr == "get" and _is_table(_last(func.value)):
            self._note(set().union(*map(self.of, arguments)), "lookup")

    def _passed(self, node: ast.Call, name: str) -> None:
        """What reaches a place within a function that is called with it."""
        by_self = isinstance(node.func, ast.Attribute)
        positional = [a.value if isinstance(a, ast.Starred) else a for a in node.args]
        wrapped = node.func if isinstance(node.func, ast.Call) else None  # delayed(function)(...)
        if wrapped is not None and wrapped.args:
            name, by_self = _last(wrapped.args[0]), isinstance(wrapped.args[0], ast.Attribute)
        for called in self.by_name.get(name, ()):
            if not called.sinks:
                continue
            skipped = 1 if called.owner and by_self and not called.is_static else 0
            given = dict(zip(called.parameters[skipped:], positional, strict=False))
            given |= {each.arg: each.value for each in node.keywords if each.arg}
            for parameter, kinds in list(called.sinks.items()):
                for kind in kinds:
                    self._note(self.of(given.get(parameter)), kind)

    def _note(self, values: set[str], kind: str) -> None:
        for value in values:
            if value.startswith("."):
                self.function.found.add((value[1:], kind))
            else:
                self.function.sinks[value].add(kind)
