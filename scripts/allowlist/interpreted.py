"""Attributes of estimators that library code interprets, read from source: nothing is imported.

For each class it follows `self.ATTRIBUTE` through variables, `getattr(self, "ATTRIBUTE")`, calls of
functions and methods of the same package, into a place that interprets text or an
object. Functions that no method of prediction may reach by name are left out.

What this does not see: compiled modules, values that pass through containers of other objects or
other libraries, attributes that are set under computed names, and calls of functions that are
values. A name matches all functions of that name, so the result errs on the side of too much.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

PREDICTING = {
    "predict", "predict_proba", "predict_log_proba", "decision_function", "transform",
    "score_samples", "inverse_transform", "__call__", "__getattr__", "__setstate__",
}  # fmt: skip
TRAINING = {"fit", "fit_predict", "fit_resample", "fit_transform", "partial_fit", "score"}
LEFT_OUT = {
    "_plot", "callback", "dask", "datasets", "externals", "plotting", "spark", "testing", "tests",
}  # fmt: skip

# The last part of the called name -> its effect on its arguments, and on which of them.
_SINKS: dict[str, tuple[str, int | None]] = {
    **dict.fromkeys(("getattr", "hasattr", "setattr", "delattr"), ("getattr", 1)),
    **dict.fromkeys(("attrgetter", "methodcaller", "itemgetter"), ("getattr", None)),
    **dict.fromkeys(("eval", "exec", "literal_eval"), ("eval", 0)),
    **dict.fromkeys(("__import__", "import_module", "locate"), ("import", 0)),
    **dict.fromkeys(
        ("dmatrix", "dmatrices", "ModelDesc", "build_design_matrices"), ("formula", None)
    ),
    **dict.fromkeys(("get_linear_constraints", "linear_constraint"), ("formula", None)),
    "get_matrices": ("formula", 0),
    **dict.fromkeys(("open", "memmap", "fromfile", "tofile", "NamedTemporaryFile"), ("open", None)),
}
_MODULE_SINKS: dict[str, tuple[set[str], str]] = {
    "re": ({"compile", "match", "search", "sub", "split", "fullmatch", "findall"}, "pattern"),
    "regex": ({"compile", "match", "search", "sub", "split", "fullmatch", "findall"}, "pattern"),
    "hashlib": ({"new"}, "getattr"),
    "joblib": ({"load", "dump", "Memory"}, "open"),
    "pickle": ({"load", "loads", "dump"}, "open"),
    "np": ({"load", "loadtxt", "save", "savez"}, "open"),
    "os": ({"system", "remove", "unlink", "makedirs", "mkdir", "rename"}, "open"),
}
_WORDS = {*_SINKS, *_MODULE_SINKS, "%", "format", "format_map"}
_QUERIED = PREDICTING - {"__call__", "__getattr__", "__setstate__"}
_ARRAY_ATTRIBUTES = {"T", "data", "dtype", "format", "indices", "indptr", "ndim", "shape", "size"}


Class = tuple[str, str]
"""The module of a class, as "sklearn.pipeline", and its name."""

Call = Literal["name", "self", "attribute"]
"""How a function is called: by its name, as a method of `self` or of `super()`, or as an attribute
of another object.
"""


@dataclass
class Function:
    """One function of a package: `sinks` holds what its parameters reach, by their names."""

    module: str
    owner: str  # its class, or ""
    node: ast.FunctionDef
    sinks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    found: set[tuple[str, str]] = field(default_factory=set)  # attribute, kind
    returned: set[str] = field(default_factory=set)  # the attributes that it returns

    @cached_property
    def mentioned(self) -> set[str]:
        """The last parts of the names in it, and its texts, which may name attributes."""
        nodes = list(ast.walk(self.node))
        texts = (n.value for n in nodes if isinstance(n, ast.Constant))
        formats = {"%" for n in nodes if isinstance(n, ast.Mod)}
        return {*map(_last, nodes), *(t for t in texts if isinstance(t, str)), *formats}

    @property
    def owner_class(self) -> Class:
        return self.module, self.owner

    @property
    def is_static(self) -> bool:
        return "staticmethod" in map(_last, self.node.decorator_list)

    @property
    def parameters(self) -> list[str]:
        arguments = self.node.args
        return [each.arg for each in (*arguments.posonlyargs, *arguments.args)]


def read(folder: Path) -> Iterator[str]:
    """Read the entries "package:Class.attribute kind" of an installed package's folder."""
    yield from Package(folder).entries()


class Package:
    """The functions of a package. A call may mean each function of the name that it calls."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.functions: list[Function] = []
        self.bases: dict[Class, set[str]] = defaultdict(set)  # the names of those of each class
        self.imported: dict[Class, Class] = {}  # by the module that imports a name
        for path in sorted(folder.rglob("*.py")):
            if not LEFT_OUT & set(path.relative_to(folder).parts[:-1]):
                module = _module(path.relative_to(folder.parent))
                self._collect(ast.parse(path.read_bytes()), module, "")
        self.by_name: dict[str, list[Function]] = defaultdict(list)
        for function in self.functions:
            self.by_name[function.node.name].append(function)
        self.reached = self._reached()
        self._settle()

    def entries(self) -> Iterator[str]:
        for function in self.functions:
            if function.node.name in self.reached and self.is_reported(function):
                for attribute, kind in sorted(function.found):
                    yield f"{self.name}:{function.owner}.{attribute} {kind}"

    def is_reported(self, function: Function) -> bool:
        return function.owner != ""

    def entry_points(self) -> Iterator[str]:
        """The names of the functions that prediction begins with."""
        yield from PREDICTING
        yield from (f.node.name for f in self.functions if f.node.decorator_list)

    def may_begin(self, _function: Function) -> bool:
        """Return whether a function may interpret values or return attributes."""
        return True

    def called(self, _caller: Function, name: str, _by: Call) -> Iterable[Function]:
        """The functions that a call of a name in another function may mean."""
        return self.by_name.get(name, ())

    def methods(self, _caller: Function, name: str) -> Iterable[Function]:
        """The methods and properties of the object whose function is the caller."""
        return (each for each in self.by_name.get(name, ()) if each.owner)

    def _collect(self, node: ast.AST, module: str, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                self.bases[module, child.name].update(map(_last, child.bases))
                self._collect(child, module, child.name)
            elif isinstance(child, ast.FunctionDef):
                self.functions.append(Function(module, owner, child))
                self._collect(child, module, owner)
            elif isinstance(child, ast.ImportFrom):
                for each in child.names:
                    self.imported[module, each.asname or each.name] = child.module or "", each.name
            elif not isinstance(child, ast.expr):
                self._collect(child, module, owner)

    def _reached(self) -> set[str]:
        """The names of the functions that prediction may reach."""
        found: set[str] = set()
        waiting = list(self.entry_points())
        while waiting:
            name = waiting.pop()
            if name in found or name in TRAINING:
                continue
            found.add(name)
            for function in self.by_name[name]:
                waiting += function.mentioned - found & self.by_name.keys()
        return found

    def _settle(self) -> None:
        """Follow the values until nothing new is found: facts of a callee apply to its callers."""
        callers: dict[str, list[Function]] = defaultdict(list)
        functions = [f for f in self.functions if f.node.name in self.reached]
        for function in functions:
            for name in function.mentioned & self.by_name.keys():
                callers[name].append(function)
        waiting = {id(f): f for f in functions if self.may_begin(f)}
        while waiting:
            function = waiting.pop(next(iter(waiting)))
            before = _size(function)
            _Flow(function, self).run()
            if _size(function) != before:
                waiting |= {id(caller): caller for caller in callers[function.node.name]}


def _module(path: Path) -> str:
    """Return the name of the module in a file, whose path begins with the package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _size(function: Function) -> int:
    return len(function.returned) + sum(map(len, function.sinks.values()))


def may_interpret(function: Function) -> bool:
    """Return whether a function interprets a value."""
    named = function.mentioned
    return bool(named & (_WORDS | _QUERIED)) or any(map(_is_table, named))


def _last(node: ast.AST) -> str:
    """The last part of a dotted name, or ""."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_table(name: str) -> bool:
    return (len(name) > 3 and name.isupper()) or name in {"globals", "locals"}


class _Flow(ast.NodeVisitor):
    """The values in one function: each variable -> the attributes and parameters in it."""

    def __init__(self, function: Function, package: Package) -> None:
        self.function = function
        self.package = package
        names = function.parameters
        has_self = function.owner and names and not function.is_static
        self.me = names[0] if has_self else ""
        is_set = function.node.name == "__setstate__" and len(names) > 1
        self.state = names[1] if is_set else None  # its values become attributes
        self.values: dict[str, set[str]] = {n: {n} for n in names if n != self.me}
        self.values |= {each.arg: {each.arg} for each in function.node.args.kwonlyargs}

    def run(self) -> None:
        for _ in range(2):  # the second time sees what loops carry on
            for statement in self.function.node.body:
                self.visit(statement)

    def origins(self, node: ast.AST | None) -> set[str]:
        """Return the origins of an expression: ".attribute" of self, or the name of a parameter."""
        match node:
            case None | ast.Compare() | ast.Lambda():
                found: set[str] = set()
            case ast.Attribute():
                found = self._attribute_origins(node)
            case ast.Name():
                found = self.values.get(node.id, set())
            case ast.Call():
                found = self._call_origins(node)
            case ast.Subscript(value=ast.Name(id=self.state), slice=ast.Constant(value=key)):
                found = {f".{key}"}
            case ast.Subscript():
                found = self.origins(node.value)
            case ast.IfExp():
                found = self.origins(node.body) | self.origins(node.orelse)
            case _:
                found = set().union(*map(self.origins, ast.iter_child_nodes(node)))
        return found

    def _attribute_origins(self, node: ast.Attribute) -> set[str]:
        if self._is_me(node.value):
            return self._own(node.attr)
        return set() if node.attr in _ARRAY_ATTRIBUTES else self.origins(node.value)

    def _call_origins(self, node: ast.Call) -> set[str]:
        name = _last(node.func)
        if name == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            is_own = self._is_me(node.args[0])
            return self._own(str(node.args[1].value)) if is_own else self.origins(node.args[0])
        if name in {"zip", "enumerate", "list", "tuple", "iter", "chain", "check_array", "lower"}:
            return set().union(*map(self.origins, node.args))
        if isinstance(node.func, ast.Attribute) and self._is_me(node.func.value):
            return self._returned(name)
        return set()

    def _is_me(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id == self.me != ""

    def _own(self, attribute: str) -> set[str]:
        """An attribute of self, and of a property what that returns."""
        return {f".{attribute}"} | self._returned(attribute)

    def _returned(self, name: str) -> set[str]:
        found = self.package.methods(self.function, name)
        return set().union(*(each.returned for each in found))

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
                self._set(each, self.origins(part))
        else:
            self._set(target, self.origins(source))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._set(target, self.origins(node.value))

    def visit_Return(self, node: ast.Return) -> None:
        self.function.returned |= {value for value in self.origins(node.value) if value[0] == "."}
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield) -> None:
        self.function.returned |= {value for value in self.origins(node.value) if value[0] == "."}
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _QUERIED:  # called at once, or handed on
            self._note(self.origins(node.value), "member")
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
            self._note(self.origins(node.left), "format")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        name = _last(node.value)
        if _is_table(name):
            self._note(self.origins(node.slice), "lookup")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _last(node.func)
        arguments = [*node.args, *(each.value for each in node.keywords)]
        if name in _SINKS:
            kind, position = _SINKS[name]
            for value in arguments if position is None else arguments[position : position + 1]:
                self._note(self.origins(value), kind)
        if isinstance(node.func, ast.Attribute):
            self._note_method(node.func, arguments)
        self._passed(node, name)
        self.generic_visit(node)

    def _note_method(self, func: ast.Attribute, arguments: Iterable[ast.AST]) -> None:
        names, kind = _MODULE_SINKS.get(_last(func.value), (set(), ""))
        if func.attr in names:
            for value in arguments:
                self._note(self.origins(value), kind)
        elif func.attr in {"format", "format_map"}:
            self._note(self.origins(func.value), "format")
        elif func.attr == "get" and _is_table(_last(func.value)):
            self._note(set().union(*map(self.origins, arguments)), "lookup")

    def _passed(self, node: ast.Call, name: str) -> None:
        """Note the arguments that the called function interprets."""
        by = self._by(node.func)
        positional = [a.value if isinstance(a, ast.Starred) else a for a in node.args]
        wrapped = node.func if isinstance(node.func, ast.Call) else None  # delayed(function)(...)
        if wrapped is not None and wrapped.args:
            name, by = _last(wrapped.args[0]), self._by(wrapped.args[0])
        for called in self.package.called(self.function, name, by):
            if not called.sinks:
                continue
            skipped = 1 if called.owner and by != "name" and not called.is_static else 0
            passed = dict(zip(called.parameters[skipped:], positional, strict=False))
            passed |= {each.arg: each.value for each in node.keywords if each.arg}
            for parameter, kinds in list(called.sinks.items()):
                for kind in kinds:
                    self._note(self.origins(passed.get(parameter)), kind)

    def _by(self, func: ast.AST) -> Call:
        if not isinstance(func, ast.Attribute):
            return "name"
        above = isinstance(func.value, ast.Call) and _last(func.value.func) == "super"
        return "self" if above or self._is_me(func.value) else "attribute"

    def _note(self, values: set[str], kind: str) -> None:
        for value in values:
            if value.startswith("."):
                self.function.found.add((value[1:], kind))
            else:
                self.function.sinks[value].add(kind)
