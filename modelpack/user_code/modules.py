"""Module search path, and the walk over imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError

from . import source as user_code_source
from .source import Import, Source, dynamic, imports, read

RESERVED = {"app", "modelpack", "modelpack_main"}
"""Modules of the bundle: the service's own, and the one that stands for `__main__`."""

STDLIB = sys.stdlib_module_names | {
    "_bootlocale", "aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk",
    "crypt", "distutils", "dummy_threading", "formatter", "imghdr", "imp", "lib2to3", "macpath",
    "mailcap", "nntplib", "parser", "pipes", "smtpd", "sndhdr", "sunau", "symbol", "telnetlib",
    "tomllib", "uu", "xdrlib",
}  # fmt: skip


@dataclass(frozen=True)
class External:
    """A module that the files import and that is not among them. `by`: the file and the line."""

    module: str
    by: str
    optional: bool
    instead_of: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    source: Source
    path: str  # in the bundle's folder of code
    named: bool


class ImportWalk:
    """The files that are needed, by module. `places`: where modules are looked for, in order."""

    def __init__(self, places: Sequence[SearchPath]) -> None:
        self._places = places
        self._waiting: list[str] = []
        self.modules: dict[str, Module] = {}
        self.external: list[External] = []
        self.notes: list[str] = []

    def add(self, module: str, places: Sequence[SearchPath] | None = None) -> bool:
        """Take a module with its packages, if it lies in one of the places.

        Raises:
            UsageError: it cannot be read, or is none that can be served.
        """
        for place in self._places if places is None else places:
            if place.file(module):
                for name in _prefixes(module):
                    self._take(name, place)
                return True
        return False

    def compiled(self, module: str) -> Path | None:
        """The compiled file that the module is; it is not copied, as another machine may not run
        it.
        """
        return next(filter(None, (place.compiled(module) for place in self._places)), None)

    def follow(self) -> None:
        """Take what the files import, and what that imports.

        Raises:
            UsageError: as `add`, or a module is not where the import says.
        """
        while self._waiting:
            name = self._waiting.pop(0)
            module = self.modules[name]
            is_package = module.path.endswith("__init__.py")
            package = name if is_package else name.rpartition(".")[0]
            self.scan(module.source.tree, package, module.path)

    def scan(self, tree: ast.Module, package: str, path: str) -> None:
        """Resolve the imports of one file; `path` is how it is told of."""
        for found in imports(tree):
            self._resolve(found, package, path)
        for line in dynamic(tree):
            self.notes.append(
                f"{path}, line {line}, imports what only running it would tell; if it is a module "
                "of yours, import it by name somewhere."
            )

    def _resolve(self, found: Import, package: str, path: str) -> None:
        target = _absolute(found, package)
        if target is None:
            self.notes.append(f"{path}, line {found.line}, imports from beyond its package.")
            return
        if not found.level and target.partition(".")[0] in STDLIB:
            return
        taken = [self.add(name) for name in _prefixes(target)]
        below = [self.add(f"{target}.{name}") for name in self._names(found, target)]
        if not any([*taken, *below]):
            if found.level or self.compiled(target):
                self._miss(found, target, path)
            else:
                by = f"{path}, line {found.line},"
                self.external.append(External(target, by, found.optional, found.instead_of))
        elif not (taken[-1] or any(below)):
            self._miss(found, target, path)

    def _names(self, found: Import, target: str) -> list[str]:
        """The names taken from `target` that may be modules."""
        if found.names != ("*",):
            return list(found.names)
        module = self.modules.get(target)
        return _exported(module.source.tree) if module else []

    def _take(self, name: str, place: SearchPath) -> None:
        file = place.file(name)
        if file is None or name in self.modules:
            return
        if name in RESERVED:
            raise UsageError(
                f"{file} cannot be served under its name: {name} is a module of the service.",
                hint="Rename it, and save the model again.",
            )
        if len(self.modules) == user_code_source.FILES:
            raise UsageError(
                f"The model needs more than {user_code_source.FILES:,} files of code "
                f"below {place.folder}.",
                hint="Make a distribution of them, and name it with --requirement.",
            )
        self.modules[name] = Module(read(file), _path(name, file), place.named)
        self._waiting.append(name)

    def _miss(self, found: Import, target: str, path: str) -> None:
        """What is imported is no file, of a package that is one."""
        compiled = self.compiled(target)
        what = f"which is compiled ({compiled})" if compiled else "which is not there"
        if found.optional or found.inner or found.instead_of:
            self.notes.append(f"{path}, line {found.line}, imports {target}, {what}.")
            return
        raise UsageError(
            f"{path}, line {found.line}, imports {target}, {what}.",
            hint="Make a wheel of it and name it with --requirement: compiled files are not copied."
            if compiled
            else "Put the file beside the others, or name the folder where it lies with --code.",
        )


def _absolute(found: Import, package: str) -> str | None:
    """The dotted name of what is imported; None where it lies beyond the package."""
    if not found.level:
        return found.module
    words = package.split(".") if package else []
    if found.level > len(words):
        return None
    return ".".join([*words[: len(words) - found.level + 1], *filter(None, [found.module])])


def _prefixes(module: str) -> list[str]:
    words = module.split(".")
    return [".".join(words[:count]) for count in range(1, len(words) + 1)]


def _path(module: str, file: Path) -> str:
    tail = "/__init__.py" if file.name == "__init__.py" else ".py"
    return module.replace(".", "/") + tail


def _exported(tree: ast.Module) -> list[str]:
    """The names in `__all__`, where it is a list of them."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            values = getattr(node.value, "elts", [])
            return [v.value for v in values if isinstance(getattr(v, "value", None), str)]
    return []


_COMPILED = (".so", ".pyd", ".pyc")


@dataclass(frozen=True)
class SearchPath:
    """A folder in which modules are looked for. `only`: the one module that counts there. `named`:
    the user named it for what is defined in it.
    """

    folder: Path
    only: str | None = None
    named: bool = False

    def file(self, module: str) -> Path | None:
        """The file of a module: NAME.py or NAME/__init__.py; None where there is none.

        Raises:
            UsageError: it is a link that leads out of the folder.
        """
        if self.only not in (None, module.partition(".")[0]):
            return None
        stem = self.folder.joinpath(*module.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return self._inside(path)
        return None

    def compiled(self, module: str) -> Path | None:
        """The compiled file that a module is, where it is no source file."""
        stem = self.folder.joinpath(*module.split("."))
        if self.file(module) or not stem.parent.is_dir():
            return None
        names = (path for path in sorted(stem.parent.iterdir()) if path.suffix in _COMPILED)
        return next((path for path in names if path.name.split(".")[0] == stem.name), None)

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(
                f"{path} is a link that leads out of {self.folder}, so it is not copied.",
                hint="Put the file itself there, or name the folder where it lies with --code.",
            )
        return path


def explicit_paths(paths: Iterable[Path], *, vouched: bool) -> list[SearchPath]:
    """The places of --code, in its order. `vouched`: what is defined there may be loaded.

    Raises:
        UsageError: there is no such folder or file of Python.
    """
    return [place for path in paths for place in _of(path, vouched)]


def default_paths(models: Iterable[str]) -> list[SearchPath]:
    """The folders in which the model's files lie, and `src` in them."""
    folders = dict.fromkeys(Path(model).parent.absolute() for model in models)
    return [SearchPath(path) for folder in folders for path in (folder, folder / "src")]


def scripts(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".py" and path.is_file()]


def package(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that a file's absolute imports start from, and the packages that it lies in."""
    folder, names = path.parent.absolute(), list[str]()
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, tuple(names)


def _of(path: Path, vouched: bool) -> Iterator[SearchPath]:
    if path.is_dir():
        folder = path.absolute()
        yield SearchPath(folder, named=vouched)
        yield SearchPath(folder / "src", named=vouched)
        if (folder / "__init__.py").is_file():  # the package itself, not the folder that it is in
            yield SearchPath(folder.parent, only=folder.name, named=vouched)
    elif path.suffix == ".py" and path.is_file():
        yield SearchPath(path.parent.absolute(), only=path.stem, named=vouched)
    else:
        what = "no file of Python" if path.exists() else "not there"
        if path.suffix == ".ipynb":
            what = "a notebook, and code is taken from folders and files of Python"
        raise UsageError(
            f"{path}, given as --code, is {what}.",
            hint="Give the folder in which the module lies, or a file: --code train.py",
        )
