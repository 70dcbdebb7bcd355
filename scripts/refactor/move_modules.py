"""Move, merge and rename modules and definitions by a plan, in all Python files of the repository.

    python3.13 scripts/refactor/move_modules.py scripts/refactor/plans/oci.txt

A plan contains one step per line; `#` starts a comment. Paths are relative to the repository.

    mv    OLD.py NEW.py            move a module
    merge OLD.py -> NEW.py         append the module to another one
    carve OLD.py: a,b -> NEW.py    move these definitions
    new   NEW.py                   create a package marker
    name  OLD.py: old new          rename a definition (the path is the one before the moves)
    doc   NEW.py: text             replace the first paragraph of the module docstring

Python 3.12 or later is needed: older versions report wrong positions inside f-strings.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ROOTS = ("modelpack", "tests", "benchmarks", "scripts")
TEXTS = ("*.md", "*.cfg", "*.toml", "*.j2", "*.sh", "Makefile", "*.yml", "*.json")


def dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass
class Plan:
    moves: dict[str, str] = field(default_factory=dict)  # old path -> new path
    merges: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    carves: dict[tuple[str, str], str] = field(default_factory=dict)  # (old module, name) -> pseudo
    names: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # (old module, name) -> new name
    created: list[str] = field(default_factory=list)
    docs: dict[str, str] = field(default_factory=dict)
    inlined: set[str] = field(default_factory=set)  # packages whose re-exports go
    assets: list[tuple[str, str]] = field(default_factory=list)
    carving: list[tuple[str, list[str], str]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Plan:
        plan = cls()
        for line in path.read_text().splitlines():
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            verb, _, rest = line.partition(" ")
            rest = rest.strip()
            if verb == "mv" and not rest.split()[0].endswith(".py"):
                plan.assets.append(tuple(rest.split()))
            elif verb == "mv":
                old, new = rest.split()
                plan.moves[old] = new
                plan.merges[new].insert(0, old)
            elif verb == "merge":
                old, new = (part.strip() for part in rest.split("->"))
                plan.moves[old] = new
                plan.merges[new].append(old)
            elif verb == "carve":
                source, new = (part.strip() for part in rest.split("->"))
                old, _, names = source.partition(":")
                plan.carving.append((old, [n.strip() for n in names.split(",")], new))
            elif verb == "new":
                plan.created.append(rest)
            elif verb == "name":
                old, _, pair = rest.partition(":")
                before, after = pair.split()
                plan.names[dotted(old), before] = after
            elif verb == "inline":
                plan.inlined.add(dotted(rest))
            elif verb == "doc":
                new, _, text = rest.partition(":")
                plan.docs[new] = text.strip()
            else:
                raise SystemExit(f"unknown step: {line}")
        return plan


# ---------------------------------------------------------------- source files


def sources() -> dict[str, str]:
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *(f"{r}/*.py" for r in ROOTS), "*.py"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return {p: Path(p).read_text("utf-8") for p in dict.fromkeys(listing) if Path(p).exists() and "golden" not in p}


class Scope:
    def __init__(self, node: ast.AST, parent: Scope | None):
        self.node, self.parent = node, parent
        self.bound: set[str] = set()
        self.imported: set[str] = set()  # bound by an import of ours alone
        self.is_class = isinstance(node, ast.ClassDef)
        self.module_names: set[str] = set()  # declared global


def comprehension(node: ast.AST) -> bool:
    return isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp))


class Resolver(ast.NodeVisitor):
    """Record the scope in which each name of a file is bound."""

    def __init__(self, tree: ast.Module):
        self.module = Scope(tree, None)
        self.uses: list[tuple[ast.AST, str, Scope]] = []
        self.parents: dict[ast.AST, ast.AST] = {}
        self.imports: list[tuple[ast.Import | ast.ImportFrom, Scope]] = []
        self._scope = self.module
        for parent in ast.walk(tree):
            for child in ast.iter_child_nodes(parent):
                self.parents[child] = parent
        for statement in tree.body:
            self.visit(statement)

    def resolve(self, name: str, scope: Scope) -> Scope | None:
        here: Scope | None = scope
        first = True
        while here is not None:
            if name in here.module_names:
                return self.module
            if name in here.bound and (first or not here.is_class):
                return here
            # A comprehension directly in a class body does not see the class scope, except
            # for its first iterable; that case does not occur here.
            first = False
            here = here.parent
        return None

    def _inside(self, scope: Scope, nodes: list[ast.AST]) -> None:
        outer, self._scope = self._scope, scope
        for node in nodes:
            self.visit(node)
        self._scope = outer

    def _function(self, node) -> None:
        arguments = node.args
        everything = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        everything += [a for a in (arguments.vararg, arguments.kwarg) if a]
        outside = [*arguments.defaults, *(d for d in arguments.kw_defaults if d)]
        outside += [a.annotation for a in everything if a.annotation]
        if not isinstance(node, ast.Lambda):
            outside += [*node.decorator_list, *([node.returns] if node.returns else [])]
            self._scope.bound.add(node.name)
            self.uses.append((node, node.name, self._scope))
        for part in outside:
            self.visit(part)
        scope = Scope(node, self._scope)
        scope.bound |= {a.arg for a in everything}
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        self._inside(scope, body)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.bound.add(node.name)
        self.uses.append((node, node.name, self._scope))
        for part in [*node.decorator_list, *node.bases, *(k.value for k in node.keywords)]:
            self.visit(part)
        self._inside(Scope(node, self._scope), node.body)

    def _comprehension(self, node) -> None:
        self.visit(node.generators[0].iter)
        scope = Scope(node, self._scope)
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [generator.target, *([generator.iter] if number else []), *generator.ifs]
        parts += [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(scope, parts)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, (ast.Store, ast.Del)):
            scope = self._scope
            if isinstance(self.parents.get(node), ast.NamedExpr):
                while comprehension(scope.node):
                    scope = scope.parent
            if node.id not in scope.module_names:
                scope.bound.add(node.id)
            self.uses.append((node, node.id, scope))
        else:
            self.uses.append((node, node.id, self._scope))

    def visit_Global(self, node: ast.Global) -> None:
        self._scope.module_names |= set(node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._scope.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self._scope.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._scope.bound.add(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._scope.bound.add(node.rest)
        self.generic_visit(node)

    def _import(self, node) -> None:
        self.imports.append((node, self._scope))
        ours = isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] in ROOTS
        )
        for alias in node.names:
            local = alias.asname or alias.name.split(".")[0]
            if ours and local not in self._scope.bound:
                self._scope.imported.add(local)
            self._scope.bound.add(local)

    visit_Import = visit_ImportFrom = _import


# ---------------------------------------------------------------- the world before the moves


class World:
    def __init__(self, files: dict[str, str], plan: Plan):
        self.files, self.plan = files, plan
        self._taken: dict[str, tuple[set[str], set[str]]] = {}
        self._kept: dict[str, dict[str, str]] = {}
        self._reexports: dict[str, dict[str, tuple[str, str]]] = {}
        self.modules = {dotted(p): p for p in files}
        self.moved = {dotted(o): dotted(n) for o, n in plan.moves.items()}

    def new_module(self, module: str) -> str:
        return self.moved.get(module, module)

    def home(self, module: str, name: str) -> tuple[str, str]:
        """The new module and the new name of a definition or re-exported name."""
        while module in self.plan.inlined and name in self.reexports(module):
            module, name = self.reexports(module)[name]
        new_name = self.new_name(module, name)
        module = self.plan.carves.get((module, name), module)
        return self.new_module(module), new_name

    def new_name(self, module: str, name: str, depth: int = 0) -> str:
        """The new name of a definition, followed through modules that import it."""
        if (module, name) in self.plan.names:
            return self.plan.names[module, name]
        source = self.reexports(module).get(name)
        if source is None or depth > 5:
            return name
        return self.new_name(*source, depth + 1)

    def reexports(self, module: str) -> dict[str, tuple[str, str]]:
        """Names that a module imports from ours under their own name: the module they are from."""
        if module not in self._reexports:
            table: dict[str, tuple[str, str]] = {}
            path = self.modules.get(module)
            for node in ast.parse(self.files[path]).body if path else ():
                if isinstance(node, ast.ImportFrom):
                    base = absolute(node, path)
                    for alias in node.names:
                        own = alias.asname in (None, alias.name)
                        if base in self.modules and base != module and own:
                            table[alias.name] = (base, alias.name)
            self._reexports[module] = table
        return self._reexports[module]

    def taken(self, new_path: str) -> tuple[set[str], set[str]]:
        """Names bound by all files that become one: in any scope, and at the top level."""
        if new_path not in self._taken:
            everywhere: set[str] = set()
            top_level: set[str] = set()
            for old in self.plan.merges.get(new_path) or [new_path]:
                if old not in self.files:
                    continue
                resolver = Resolver(ast.parse(self.files[old]))
                scopes = {id(s): s for _, _, s in resolver.uses}
                for scope in [*scopes.values(), resolver.module]:
                    everywhere |= scope.bound - scope.imported
                top_level |= resolver.module.bound - resolver.module.imported
                module = dotted(old)
                for (owner, name), new in self.plan.names.items():
                    if owner == module:
                        everywhere.add(new)
                        top_level.add(new)
                        top_level.discard(name)
                        everywhere.discard(name)
            self._taken[new_path] = (everywhere, top_level)
        return self._taken[new_path]

    def kept(self, new_path: str) -> dict[str, str]:
        """Imports of ours whose local name stays: the new module, or the module of a definition."""
        if new_path not in self._kept:
            table: dict[str, str] = {}
            for old in self.plan.merges.get(new_path) or [new_path]:
                for node in ast.walk(ast.parse(self.files.get(old, ""))):
                    if not isinstance(node, ast.ImportFrom):
                        continue
                    base = absolute(node, old)
                    if base.split(".")[0] not in ROOTS:
                        continue
                    for alias in node.names:
                        local = alias.asname or alias.name
                        module = f"{base}.{alias.name}"
                        if self.is_module(module):
                            new = self.new_module(module)
                            if new.rsplit(".", 1)[-1] == local or alias.asname:
                                table[local] = new
                        else:
                            table[self.new_name(base, alias.name)] = self.new_module(base)
            self._kept[new_path] = table
        return self._kept[new_path]

    def is_module(self, module: str) -> bool:
        return module in self.modules or any(m.startswith(module + ".") for m in self.modules)


problems: list[str] = []


def absolute(node: ast.ImportFrom, path: str) -> str:
    package = path.split("/")[:-1]
    if not node.level:
        return node.module or ""
    above = package[: len(package) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def relative_or_absolute(target: str, new_path: str, was_relative: bool) -> str:
    """The text after `from` for importing from `target` in `new_path`."""
    package = new_path.split("/")[:-1]
    parts = target.split(".")
    common = 0
    while common < min(len(package), len(parts)) and package[common] == parts[common]:
        common += 1
    if not was_relative or common < 2:
        return target
    return "." * (len(package) - common + 1) + ".".join(parts[common:])


class File:
    """One file as it was, rewritten for the new places and names of everything."""

    def __init__(self, path: str, text: str, world: World):
        self.path, self.text, self.world = path, text, world
        self.module = dotted(path)
        self.new_path = world.plan.moves.get(path, path)
        self.new_module = dotted(self.new_path)
        self.edits: list[tuple[int, int, str]] = []
        self.lines = [0]
        for line in text.encode().splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def position(self, line: int, column: int) -> int:
        return self.lines[line - 1] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self.position(node.lineno, node.col_offset),
            self.position(node.end_lineno, node.end_col_offset),
        )

    def rewritten(self) -> str:
        tree = ast.parse(self.text)
        resolver = Resolver(tree)
        bindings: dict[tuple[int, str], tuple[str, str | None, str | None]] = {}
        relevant: list[tuple[ast.AST, Scope]] = []
        for node, scope in resolver.imports:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] in ROOTS and self.world.is_module(alias.name):
                        if self.world.new_module(alias.name) != alias.name:
                            problems.append(f"{self.path}:{node.lineno}: import {alias.name}")
                continue
            base = absolute(node, self.path)
            if base.split(".")[0] not in ROOTS or not self.world.is_module(base):
                continue
            relevant.append((node, scope))
            for alias in node.names:
                local = alias.asname or alias.name
                submodule = f"{base}.{alias.name}"
                own = base == self.module and self.world.is_module(submodule)
                defined = not own and base in self.world.modules and self._defines(base, alias.name)
                if not defined and self.world.is_module(submodule):
                    bindings[id(scope), local] = (submodule, None, alias.asname)
                else:
                    bindings[id(scope), local] = (base, alias.name, alias.asname)
        self._rewrite_imports(relevant, resolver, bindings)
        self._rewrite_uses(resolver, bindings)
        self._rewrite_strings(tree, resolver, bindings)
        data = self.text.encode()
        seen: set[tuple[int, int]] = set()
        for start, end, new in sorted(self.edits, key=lambda e: (e[0], e[1]), reverse=True):
            if (start, end) in seen:
                continue
            seen.add((start, end))
            data = data[:start] + new.encode() + data[end:]
        return data.decode()

    def _defines(self, module: str, name: str) -> bool:
        """Whether a package defines `name` itself, so that it isn't a submodule."""
        path = self.world.modules[module]
        if not path.endswith("__init__.py"):
            return True
        for node in ast.parse(self.world.files[path]).body:
            if getattr(node, "name", None) == name:
                return True
            targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                return True
            if isinstance(node, ast.ImportFrom) and any(
                (a.asname or a.name) == name and (node.module or node.level > 1 or a.asname)
                for a in node.names
            ):
                own = absolute(node, path) == module
                return not own or not self.world.is_module(f"{module}.{name}")
        return False

    def _module_alias(self, old: str, asname: str | None, resolver: Resolver) -> str:
        new = self.world.new_module(old)
        last = new.rsplit(".", 1)[-1]
        if asname and asname != old.rsplit(".", 1)[-1]:
            return asname
        everywhere, top_level = self.world.taken(self.new_path)
        taken = top_level if last == old.rsplit(".", 1)[-1] else everywhere
        kept = self.world.kept(self.new_path).get(last)
        if last in taken or (last != old.rsplit(".", 1)[-1] and kept not in (None, new)):
            return f"{new.rsplit('.', 2)[-2]}_{last}"
        return last

    def _rewrite_imports(self, relevant, resolver, bindings) -> None:
        for node, scope in relevant:
            relative = bool(node.level)
            by_home: dict[str, list[str]] = defaultdict(list)
            statements: list[str] = []
            for alias in node.names:
                local = alias.asname or alias.name
                module, name, asname = bindings[id(scope), local]
                if name is None:
                    uses = self._attributes_used(resolver, scope, local)
                    homes = {self.world.home(module, x)[0] for x in uses}
                    if not homes or self._is_object(resolver, scope, local):
                        homes.add(self.world.new_module(module))
                    for new in sorted(homes):
                        if new == self.new_module:
                            continue
                        base, _, last = new.rpartition(".")
                        wanted = self._alias_for(module, new, asname, resolver)
                        text = last if wanted == last else f"{last} as {wanted}"
                        by_home[base].append(text)
                else:
                    new, new_name = self.world.home(module, name)
                    while self.new_module.startswith(new + ".") and not self.path.startswith(
                        module.replace(".", "/") + "/"
                    ):  # a file that moves into the package must not import from it
                        source = self.world.reexports(module).get(name)
                        if source is None:
                            break
                        module, name = source
                        new, new_name = self.world.home(module, name)
                    if new == self.new_module and new_name == (asname or new_name):
                        continue
                    if new == self.new_module:
                        problems.append(f"{self.path}:{node.lineno}: {name} as {asname} is local")
                        continue
                    keep = asname and asname != name
                    text = f"{new_name} as {asname}" if keep else new_name
                    by_home[new].append(text)
            for home, names in by_home.items():
                source = relative_or_absolute(home, self.new_path, relative)
                statements.append(f"from {source} import {', '.join(dict.fromkeys(names))}")
            start, end = self.span(node)
            indent = " " * node.col_offset
            if statements:
                text = f"\n{indent}".join(statements)
            else:
                text = "pass" if node.col_offset else ""
            if text != self.text.encode()[start:end].decode():
                self.edits.append((start, end, text))

    def _alias_for(self, old: str, new: str, asname: str | None, resolver: Resolver) -> str:
        if new == self.world.new_module(old):
            return self._module_alias(old, asname, resolver)
        last = new.rsplit(".", 1)[-1]
        everywhere, _ = self.world.taken(self.new_path)
        if last in everywhere or self.world.kept(self.new_path).get(last) not in (None, new):
            return f"{new.rsplit('.', 2)[-2]}_{last}"
        return last

    def _is_object(self, resolver: Resolver, scope: Scope, local: str) -> bool:
        """Whether a module is used other than for an attribute."""
        for node, name, use_scope in resolver.uses:
            if name == local and resolver.resolve(name, use_scope) is scope:
                parent = resolver.parents.get(node)
                if not (isinstance(parent, ast.Attribute) and parent.value is node):
                    return True
        return False

    def _attributes_used(self, resolver: Resolver, scope: Scope, local: str) -> set[str]:
        used = set()
        for node, name, use_scope in resolver.uses:
            if name == local and resolver.resolve(name, use_scope) is scope:
                parent = resolver.parents.get(node)
                if isinstance(parent, ast.Attribute) and parent.value is node:
                    used.add(parent.attr)
        return used

    def _rewrite_uses(self, resolver, bindings) -> None:
        for node, name, scope in resolver.uses:
            where = resolver.resolve(name, scope)
            if where is None:
                continue
            binding = bindings.get((id(where), name))
            if binding is not None:
                self._rewrite_use(node, name, binding, resolver, scope)
            elif where is resolver.module:
                new_name = self.world.plan.names.get((self.module, name))
                if new_name:
                    self._check_free(new_name, scope, resolver, node)
                    self._rename(node, new_name)

    def _rename(self, node: ast.AST, new_name: str) -> None:
        if isinstance(node, ast.Name):
            self.edits.append((*self.span(node), new_name))
            return
        start, _ = self.span(node)
        source = self.text.encode()
        # Decorators are not part of the position of a definition.
        match = re.compile(rb"(async\s+def|def|class)\s+(\w+)").search(source, start)
        self.edits.append((match.start(2), match.end(2), new_name))

    def _rewrite_use(self, node, local, binding, resolver, scope) -> None:
        module, name, asname = binding
        if name is not None:
            new, new_name = self.world.home(module, name)
            keep = asname and asname != name and new != self.new_module
            if keep or not isinstance(node, ast.Name):
                return
            if new_name != local:
                self._check_free(new_name, scope, resolver, node)
                self.edits.append((*self.span(node), new_name))
            return
        parent = resolver.parents.get(node)
        if isinstance(parent, ast.Attribute) and parent.value is node:
            new, new_name = self.world.home(module, parent.attr)
            start, end = self.span(parent)
            if new == self.new_module:
                self._check_free(new_name, scope, resolver, node)
                self.edits.append((start, end, new_name))
                return
            alias = self._alias_for(module, new, asname, resolver)
            self.edits.append((start, end, f"{alias}.{new_name}"))
            return
        if not isinstance(node, ast.Name):
            return
        if self.world.new_module(module) == self.new_module:
            problems.append(f"{self.path}:{node.lineno}: module {local} is used as an object")
            return
        alias = self._module_alias(module, asname, resolver)
        merged = len(self.world.plan.merges.get(self.world.plan.moves.get(
            self.world.modules.get(module, ""), ""), [])) > 1  # fmt: skip
        if merged and not self._is_patched(node, resolver):
            problems.append(f"{self.path}:{node.lineno}: merged module {local} is an object")
        if alias != local:
            self.edits.append((*self.span(node), alias))

    @staticmethod
    def _is_patched(node, resolver) -> bool:
        call = resolver.parents.get(node)
        return isinstance(call, ast.Call) and call.args and call.args[0] is node

    def _check_free(self, new_name: str, scope: Scope, resolver: Resolver, node) -> None:
        where = resolver.resolve(new_name, scope)
        if where is not None and where is not resolver.module:
            problems.append(f"{self.path}:{node.lineno}: {new_name} is bound locally")

    def _rewrite_strings(self, tree, resolver, bindings) -> None:
        for node in tree.body:
            if isinstance(node, ast.Assign) and "__all__" in defined_names(node):
                for part in ast.walk(node.value):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        new_name = self.world.new_name(self.module, part.value)
                        if new_name != part.value:
                            self.edits.append((*self.span(part), f'"{new_name}"'))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and len(node.args) > 1:
                self._rewrite_patch(node, resolver, bindings)
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if isinstance(resolver.parents.get(node), (ast.JoinedStr, ast.FormattedValue)):
                continue
            if "modelpack" not in node.value and "tests" not in node.value:
                continue
            start, end = self.span(node)
            before = self.text.encode()[start:end].decode()
            after = rewrite_text(before, self.world)
            if before != after:
                self.edits.append((start, end, after))

    def _rewrite_patch(self, call: ast.Call, resolver, bindings) -> None:
        """Rename the attribute in `monkeypatch.setattr(module, "name", ...)` and `getattr`."""
        function = call.func
        verb = getattr(function, "attr", getattr(function, "id", ""))
        if verb not in {"setattr", "delattr", "object", "getattr"}:
            return
        target, name = call.args[:2]
        if not (isinstance(target, ast.Name) and isinstance(name, ast.Constant)):
            return
        for (_, local), (module, defined, _) in bindings.items():
            if local == target.id and defined is None and isinstance(name.value, str):
                _, new_name = self.world.home(module, name.value)
                if new_name != name.value:
                    self.edits.append((*self.span(name), f'"{new_name}"'))


DOTTED = re.compile(r"\b(?:modelpack|tests|scripts|benchmarks)(?:\.[A-Za-z_]\w*)+")
IMPORTS = re.compile(r"from (modelpack[\w.]*) import ([\w]+(?:, \w+| as \w+)*)")
PATHS = re.compile(r"\b(?:modelpack|tests)(?:/[\w-]+)+\.py\b")


def rewrite_text(text: str, world: World) -> str:
    """Replace dotted names and paths of modules in prose, strings and configuration."""

    def name(match: re.Match[str]) -> str:
        parts = match.group().split(".")
        for length in range(len(parts), 1, -1):
            module = ".".join(parts[:length])
            if module in world.modules:
                rest = parts[length:]
                if rest:
                    new, new_name = world.home(module, rest[0])
                    return ".".join([new, new_name, *rest[1:]])
                return world.new_module(module)
        return match.group()

    def imports(match: re.Match[str]) -> str:
        """`from module import name` inside strings of source code."""
        module, names = match.groups()
        if module not in world.modules and not world.is_module(module):
            return match.group()
        homes: dict[str, list[str]] = defaultdict(list)
        for part in names.split(", "):
            first, _, alias = part.partition(" as ")
            submodule = f"{module}.{first}"
            if submodule in world.modules:
                base, _, last = world.new_module(submodule).rpartition(".")
                alias = alias or (first if last != first else "")
            else:
                base, last = world.home(module, first)
                alias = alias or (first if last != first else "")
            homes[base].append(f"{last} as {alias}" if alias else last)
        return "; ".join(f"from {base} import {', '.join(parts)}" for base, parts in homes.items())

    if "from modelpack" in text:
        text = IMPORTS.sub(imports, text)
        return PATHS.sub(lambda m: world.plan.moves.get(m.group(), m.group()), text)
    text = DOTTED.sub(name, text)
    return PATHS.sub(lambda m: world.plan.moves.get(m.group(), m.group()), text)


# ---------------------------------------------------------------- carving and merging


def pieces(text: str) -> tuple[str, list[ast.stmt], list[tuple[ast.stmt, str]]]:
    """The docstring, and each other statement of the module with the comments above it."""
    tree = ast.parse(text)
    lines = text.splitlines(keepends=True)
    found: list[tuple[ast.stmt, str]] = []
    body, end = list(tree.body), 0
    docstring = ""
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        if isinstance(body[0].value.value, str):
            end = body[0].end_lineno
            docstring = "".join(lines[:end])
            body = body[1:]
    for node in body:
        found.append((node, "".join(lines[end : node.end_lineno])))
        end = node.end_lineno
    rest = "".join(lines[end:])
    if rest.strip() and found:
        found[-1] = (found[-1][0], found[-1][1] + rest)
    return docstring, body, found


def defined_names(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    names = set()
    stack: list[ast.AST] = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
        if not comprehension(part):
            stack.extend(ast.iter_child_nodes(part))
    return names


def is_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test) and all(is_import(n) for n in node.body)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def carve(world_files: dict[str, str], plan: Plan) -> None:
    """Split the carved definitions off into files of their own, which are merged later."""
    for number, (old, names, new) in enumerate(plan.carving):
        docstring, _, parts = pieces(world_files[old])
        imports = [text for node, text in parts if is_import(node)]
        missing = set(names) - {n for node, _ in parts for n in defined_names(node)}
        if missing:
            problems.append(f"{old}: not there to be carved: {sorted(missing)}")
        taken = [(n, t) for n, t in parts if not is_import(n) and defined_names(n) & set(names)]
        left = [(n, t) for n, t in parts if not is_import(n) and not defined_names(n) & set(names)]
        pseudo = f"{old.rsplit('/', 1)[0]}/carved_{number}.py"
        if old.endswith("/__init__.py") is False and "/" not in old:
            pseudo = f"carved_{number}.py"
        here, there = "".join(t for _, t in taken), "".join(t for _, t in left)
        all_taken = {n for node, _ in taken for n in defined_names(node)}
        all_left = {n for node, _ in left for n in defined_names(node)}

        def used(text: str, pool: set[str]) -> list[str]:
            return sorted(n for n in pool if re.search(rf"\b{re.escape(n)}\b", text))

        back = used(here, all_left)
        forth = used(there, all_taken)
        line = f"from {dotted(old)} import {', '.join(back)}\n" if back else ""
        world_files[pseudo] = "".join(imports).lstrip("\n") + line + here
        line = f"\nfrom {dotted(pseudo)} import {', '.join(forth)}\n" if forth else ""
        world_files[old] = docstring + "".join(imports) + line + there
        for name in all_taken:
            plan.carves[dotted(old), name] = dotted(pseudo)
            if (dotted(old), name) in plan.names:
                plan.names[dotted(pseudo), name] = plan.names[dotted(old), name]
        plan.moves[pseudo] = new
        plan.merges[new].append(pseudo)


def executed_names(node: ast.stmt) -> set[str]:
    """Names that a top-level statement uses while the module is imported."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        parts = [*node.decorator_list, *node.args.defaults]
        parts += [d for d in node.args.kw_defaults if d]
    elif isinstance(node, ast.ClassDef):
        parts = [*node.decorator_list, *node.bases]
        names = set()
        for inner in node.body:
            names |= executed_names(inner)
        return names | {n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name)}
    elif isinstance(node, ast.AnnAssign):
        parts = [node.value] if node.value else []
    else:
        parts = [node]
    names = set()
    stack = list(parts)
    while stack:
        part = stack.pop()
        if isinstance(part, ast.Lambda):
            continue
        if isinstance(part, ast.Name):
            names.add(part.id)
        stack.extend(ast.iter_child_nodes(part))
    return names


def merge(new: str, olds: list[str], texts: dict[str, str], original: dict[str, str]) -> str:
    """One module of several, the later ones below, unless they are needed first."""
    parsed = {old: pieces(texts[old]) for old in olds}
    drop_repeated(parsed, olds)
    defined = {
        old: {n for node, _ in parsed[old][2] if not is_import(node) for n in defined_names(node)}
        for old in olds
    }
    for number, first in enumerate(olds):
        for second in olds[number + 1 :]:
            both = defined[first] & defined[second]
            if both:
                problems.append(f"{new}: {first} and {second} both define {sorted(both)}")
    needs = {
        old: {
            other
            for other in olds
            if other != old
            and any(
                executed_names(node) & defined[other]
                for node, _ in parsed[old][2]
                if not is_import(node)
            )
        }
        for old in olds
    }
    order: list[str] = []
    waiting = list(olds)
    while waiting:
        ready = next((o for o in waiting if needs[o] <= set(order)), None)
        if ready is None:
            problems.append(f"{new}: no order of {waiting}: {needs}")
            ready = waiting[0]
        order.append(ready)
        waiting.remove(ready)
    docstring = parsed[olds[0]][0]
    future, imports, bodies = False, [], []
    for old in order:
        text, _, parts = parsed[old]
        body = ""
        for node, source in parts:
            if is_import(node):
                if "from __future__" in source:
                    future = True
                    source = re.sub(r"from __future__ import annotations\n?", "", source)
                imports.append(source.strip("\n"))
            else:
                body += source
        extra = extra_paragraphs(text) if old != olds[0] else ""
        bodies.append((extra + "\n" if extra else "") + body.strip("\n"))
    head = docstring.rstrip("\n") + "\n\n" if docstring else ""
    head += "from __future__ import annotations\n\n" if future else ""
    return head + "\n".join(i for i in imports if i) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def drop_repeated(parsed: dict, olds: list[str]) -> None:
    """Drop definitions that an earlier module contains in the same words."""
    seen: set[tuple[str, str]] = set()
    kinds = (ast.Assign, ast.AnnAssign, ast.FunctionDef)
    for old in olds:
        docstring, body, parts = parsed[old]
        kept = []
        for node, source in parts:
            pair = (",".join(sorted(defined_names(node))), ast.dump(node))
            if isinstance(node, kinds) and pair in seen:
                continue
            kept.append((node, source))
        parsed[old] = (docstring, body, kept)
        seen |= {
            (",".join(sorted(defined_names(n))), ast.dump(n)) for n, _ in kept if isinstance(n, kinds)
        }


def extra_paragraphs(docstring: str) -> str:
    """What a docstring says after its first paragraph, as a comment."""
    if not docstring:
        return ""
    value = ast.parse(docstring).body[0].value.value
    _, _, rest = value.partition("\n\n")
    wrapped = []
    for paragraph in rest.strip().split("\n\n"):
        indented = any(line.startswith(" ") for line in paragraph.splitlines())
        wrapped += ["", *(paragraph.splitlines() if indented else textwrap.wrap(paragraph, 97))]
    return "\n".join(f"# {line}".rstrip() for line in wrapped[1:]) if rest else ""


def with_docstring(text: str, summary: str) -> str:
    docstring, _, _ = pieces(text)
    if not docstring:
        return f'"""{summary}"""\n\n' + text.lstrip("\n")
    value = ast.parse(docstring).body[0].value.value
    _, _, rest = value.partition("\n\n")
    body = f'"""{summary}\n\n{rest.strip()}\n"""\n' if rest.strip() else f'"""{summary}"""\n'
    return body + text[len(docstring) :]


def main() -> int:
    plan = Plan.read(Path(sys.argv[1]))
    files = sources()
    for step in [*plan.moves, *(old for old, _, _ in plan.carving)]:
        if step not in files:
            problems.append(f"no such file: {step}")
    for module, name in plan.names:
        path = next((p for p in files if dotted(p) == module), None)
        if path is None or not re.search(rf"\b{re.escape(name)}\b", files[path]):
            print(f"no such name: {module}: {name}", file=sys.stderr)
    if problems:
        print(*problems, sep="\n")
        return 1
    for (module, name), new_name in plan.names.items():
        path = next((p for p in files if dotted(p) == module), None)
        if path and new_name in Resolver(ast.parse(files[path])).module.bound:
            if (module, new_name) not in plan.names:
                problems.append(f"{module}: {name} -> {new_name} exists already")
    # A file that receives merged ones and stays where it is comes first.
    for new, olds in plan.merges.items():
        if new in files and new not in plan.moves and new not in olds:
            olds.insert(0, new)
    carve(files, plan)
    for new, olds in plan.merges.items():
        if new in files and new not in plan.moves and new not in olds:
            olds.insert(0, new)
    world = World(files, plan)
    texts = {path: File(path, text, world).rewritten() for path, text in files.items()}
    results: dict[str, str] = {}
    for new, olds in plan.merges.items():
        olds[:] = list(dict.fromkeys(olds))
        results[new] = merge(new, olds, texts, files) if len(olds) > 1 else texts[olds[0]]
    consumed = {old for olds in plan.merges.values() for old in olds}
    for path, text in texts.items():
        if path not in consumed:
            results[path] = text
    for path in plan.created:
        results.setdefault(path, "")
    for path, summary in plan.docs.items():
        if path not in results:
            problems.append(f"doc of a missing file: {path}")
            continue
        results[path] = with_docstring(results[path], summary)
    # Empty __init__ files may move with the rest of their folder.
    check_shadowed(results)
    if problems:
        print(*problems, sep="\n")
        if "--force" not in sys.argv:
            return 1
    write(results, files, plan)
    rewrite_texts(world)
    return 0


def check_shadowed(results: dict[str, str]) -> None:
    """Report modules whose name the package binds to something else."""
    for path, text in results.items():
        if not path.endswith("/__init__.py") or not path.startswith("modelpack"):
            continue
        folder = path.removesuffix("__init__.py")
        inside = {
            p.removeprefix(folder).removesuffix(".py").removesuffix("/__init__")
            for p in results
            if p.startswith(folder) and p != path
        }
        bound: set[str] = set()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom):
                if node.module and absolute(node, path) != dotted(path):
                    bound |= {a.asname or a.name for a in node.names}
            elif not isinstance(node, ast.If):
                bound |= defined_names(node)
        if bound & inside:
            print(f"{path}: modules with the name of a definition: {sorted(bound & inside)}")


def write(results: dict[str, str], files: dict[str, str], plan: Plan) -> None:
    for old, new in plan.assets:
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "mv", old, new], check=True)
    existing = set(sources())
    for new, olds in plan.merges.items():
        first = next((o for o in olds if o in existing), None)
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        if first and first != new:
            subprocess.run(["git", "mv", "-f", first, new], check=True)
            existing.discard(first)
        for old in olds:
            if old in existing and old != new and old not in results:
                subprocess.run(["git", "rm", "-q", "-f", old], check=True)
                existing.discard(old)
    for path, text in results.items():
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text("utf-8") != text:
            target.write_text(text, "utf-8")


def rewrite_texts(world: World) -> None:
    listing = subprocess.run(
        ["git", "ls-files", *TEXTS], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    for name in listing:
        path = Path(name)
        if not name or name.startswith(("modelpack/", "scripts/refactor/")) or not path.is_file():
            continue
        if "CHANGELOG" in name:
            continue
        try:
            before = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        after = rewrite_text(before, world)
        if before != after:
            path.write_text(after, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
