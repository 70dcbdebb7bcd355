"""State keys that would replace a method of the author's class.

Python looks up an attribute in the object first. A state with the key `predict` therefore replaces
the author's method, which `--code` trusts, by a value of the file. Names that the class itself sets
on its objects are allowed. So are properties, which precede keys of the state, and names that a
decorator caches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from modelpack.types import OwnClass

from .source import Source

_STORED = ("cached", "lazy", "property", "reify", "setter")
"""Parts of the names of decorators whose results are stored in objects, or precede the state."""


def own_classes(
    states: Mapping[str, tuple[str, ...]], sources: Mapping[str, Source]
) -> tuple[OwnClass, ...]:
    """Return a description of each class whose objects have a state.

    `states` has the names that states set, by class, `sources` the found files, by module.
    """
    return tuple(
        _own_class(key, {*names}, sources)
        for key, names in states.items()
        if _definitions(key, sources)
    )


def _own_class(key: str, names: set[str], sources: Mapping[str, Source]) -> OwnClass:
    methods, stored, others = set[str](), set[str](), []
    for each in _bases(key, sources):
        definitions = _definitions(each, sources)
        for node in definitions:
            methods |= _methods(node)
            stored |= _stored(node)
        if not definitions:
            others.append(each)
    unset = names - stored
    return OwnClass(key, tuple(others), tuple(sorted(methods & unset)), tuple(sorted(unset)))


def _bases(key: str, sources: Mapping[str, Source]) -> Iterator[str]:
    """Yield the "module:name" of a class and of each that it inherits from.

    A base that is imported is yielded by the module that it is imported from.
    """
    waiting, seen = [key], set[str]()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        yield each
        for node in _definitions(each, sources):
            for base in node.bases:
                waiting += _resolved(each.partition(":")[0], ast.unparse(base), sources)


def _definitions(key: str, sources: Mapping[str, Source]) -> list[ast.ClassDef]:
    """Return the classes with a name in a module. Conditions may define several."""
    module, _, name = key.partition(":")
    if module not in sources:
        return []
    below: list[ast.ClassDef] = []
    scope: list[ast.AST] = [sources[module].tree]
    for part in name.split("."):
        inner = (node for each in scope for node in _inside(each))
        below = [node for node in inner if node.name == part]
        scope = [*below]
    return below


def _inside(scope: ast.AST) -> Iterator[ast.ClassDef]:
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            waiting += ast.iter_child_nodes(node)


def _resolved(module: str, name: str, sources: Mapping[str, Source]) -> Iterator[str]:
    """Yield the possible meanings of a dotted name: classes of the module, and imports."""
    if _definitions(f"{module}:{name}", sources):
        yield f"{module}:{name}"
        return
    first, _, rest = name.partition(".")
    for target, asname, is_module in _imported(module, sources):
        if asname == first and rest and is_module:
            owner, _, last = f"{target}.{rest}".rpartition(".")
            yield f"{owner}:{last}"
        elif asname == first and not is_module:
            owner, _, last = target.rpartition(".")
            yield f"{target}:{rest}" if rest else f"{owner}:{last}"


def _imported(module: str, sources: Mapping[str, Source]) -> Iterator[tuple[str, str, bool]]:
    """Yield each import of a module: its target, its name here, and whether it is a module."""
    source = sources[module]
    is_package = source.path.name == "__init__.py"
    words = module.split(".")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.name, alias.asname, True) if alias.asname else (top, top, True)
        elif isinstance(node, ast.ImportFrom):
            cut = len(words) - node.level + is_package
            above = words[: max(cut, 0)] if node.level else []
            target = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield f"{target}.{alias.name}", alias.asname or alias.name, False


def _methods(node: ast.ClassDef) -> set[str]:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    methods = (each for each in _body(node) if isinstance(each, functions))
    return {each.name for each in methods if not any(map(_stores, each.decorator_list))}


def _stores(decorator: ast.expr) -> bool:
    name = ast.unparse(decorator).partition("(")[0].rpartition(".")[2].lower()
    return any(word in name for word in _STORED)


def _stored(node: ast.ClassDef) -> set[str]:
    """Return the names that a class, or a method of it, sets on the class or its objects."""
    names = set()
    for each in _body(node):
        targets = each.targets if isinstance(each, ast.Assign) else [getattr(each, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            names.add(inner.attr)
        elif isinstance(inner, ast.Call) and ast.unparse(inner.func).endswith("setattr"):
            names |= {str(a.value) for a in inner.args if isinstance(a, ast.Constant)}
    return names


def _body(node: ast.ClassDef) -> Iterator[ast.stmt]:
    waiting: list[ast.AST] = [*node.body]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            waiting += ast.iter_child_nodes(each)
        elif isinstance(each, ast.stmt):
            yield each
