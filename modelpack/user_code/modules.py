"""Module search path, and the walk over imports."""

from __future__ import annotations

import ast
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError

from . import source as user_code_source
from .source import Import, Source, dynamic, imports, read

RESERVED = {"app", "modelpack", "modelpack_main"}
"""Modules of the bundle: those of the service, and the replacement of `__main__`."""

STDLIB = sys.stdlib_module_names | {
    "_bootlocale", "aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk",
    "crypt", "distutils", "dummy_threading", "formatter", "imghdr", "imp", "lib2to3", "macpath",
    "mailcap", "nntplib", "parser", "pipes", "smtpd", "sndhdr", "sunau", "symbol", "telnetlib",
    "tomllib", "uu", "xdrlib",
}  # fmt: skip


@dataclass(frozen=True)
class External:
    """A module that the files import and that is not one of them. `by`: file and line."""

    module: str
    by: str
    optional: bool
    instead_of: tuple[str, ...]


@dataclass(frozen=True)
class Module:
    source: Source
    path: str  # in the code folder of the bundle
    named: bool


class ImportWalk:
    """A walk over the imports of modules. It collects the modules that are needed."""

    def __init__(self, search_paths: Sequence[SearchPath]) -> None:
        self._search_paths = search_paths
        self._waiting: list[str] = []
        self.modules: dict[str, Module] = {}
        self.external: list[External] = []
        self.notes: list[str] = []

    def add(self, module: str, search_paths: Sequence[SearchPath] | None = None) -> bool:
        """Add a module and its packages if a search path contains it, and return whether one does.

        Raises:
            UsageError: It cannot be read, or cannot be served.
        """
        for search_path in self._search_paths if search_paths is None else search_paths:
            if search_path.file(module):
                for name in _prefixes(module):
                    self._take(name, search_path)
                return True
        return False

    def compiled(self, module: str) -> Path | None:
        """Return the compiled file of a module. It is not copied: other machines may not run it."""
        return next(
            filter(None, (search_path.compiled(module) for search_path in self._search_paths)), None
        )

    def follow(self) -> None:
        """Add the modules that the files import, and so on.

        Raises:
            UsageError: As for `add`, or a module does not exist.
        """
        while self._waiting:
            name = self._waiting.pop(0)
            module = self.modules[name]
            is_package = module.path.endswith("__init__.py")
            package = name if is_package else name.rpartition(".")[0]
            self.scan(module.source.tree, package, module.path)

    def scan(self, tree: ast.Module, package: str, path: str) -> None:
        """Resolve the imports of one file. `path` is its name in messages."""
        for import_ in imports(tree):
            self._resolve(import_, package, path)
        for line in dynamic(tree):
            self.notes.append(
                f"{path}, line {line}, imports a computed name; if it is one of your modules, also "
                "import it by name."
            )

    def _resolve(self, import_: Import, package: str, path: str) -> None:
        target = _absolute(import_, package)
        if target is None:
            self.notes.append(f"{path}, line {import_.line}, imports from outside its package.")
            return
        if not import_.level and target.partition(".")[0] in STDLIB:
            return
        added = [self.add(name) for name in _prefixes(target)]
        below = [self.add(f"{target}.{name}") for name in self._names(import_, target)]
        if not any([*added, *below]):
            if import_.level or self.compiled(target):
                self._miss(import_, target, path)
            else:
                by = f"{path}, line {import_.line},"
                self.external.append(External(target, by, import_.optional, import_.instead_of))
        elif not (added[-1] or any(below)):
            self._miss(import_, target, path)

    def _names(self, import_: Import, target: str) -> list[str]:
        """Return the names imported from `target` that may be modules."""
        if import_.names != ("*",):
            return list(import_.names)
        module = self.modules.get(target)
        return _exported(module.source.tree) if module else []

    def _take(self, name: str, search_path: SearchPath) -> None:
        file = search_path.file(name)
        if file is None or name in self.modules:
            return
        if name in RESERVED:
            raise UsageError(
                f"{file} cannot have this name, because {name} is a module of the service.",
                hint="Rename it, and save the model again.",
            )
        if len(self.modules) == user_code_source.FILES:
            raise UsageError(
                f"The model needs more than {user_code_source.FILES:,} code files "
                f"below {search_path.folder}.",
                hint="Package them as a distribution, and name it: --requirement NAME==VERSION",
            )
        self.modules[name] = Module(read(file), _path(name, file), search_path.named)
        self._waiting.append(name)

    def _miss(self, import_: Import, target: str, path: str) -> None:
        """Report a missing module of a package that exists."""
        compiled = self.compiled(target)
        state = f"which is compiled ({compiled})" if compiled else "which does not exist"
        message = f"{path}, line {import_.line}, imports {target}, {state}."
        if import_.optional or import_.inner or import_.instead_of:
            self.notes.append(message)
            return
        raise UsageError(
            message,
            hint="Build a wheel of it, and name it: --requirement NAME==VERSION"
            if compiled
            else "Add the file to its package, or name its folder: --code PATH",
        )


def _absolute(import_: Import, package: str) -> str | None:
    """Return the absolute name of the imported module. None if it is outside the package."""
    if not import_.level:
        return import_.module
    words = package.split(".") if package else []
    if import_.level > len(words):
        return None
    return ".".join([*words[: len(words) - import_.level + 1], *filter(None, [import_.module])])


def _prefixes(module: str) -> list[str]:
    words = module.split(".")
    return [".".join(words[:count]) for count in range(1, len(words) + 1)]


def _path(module: str, file: Path) -> str:
    tail = "/__init__.py" if file.name == "__init__.py" else ".py"
    return module.replace(".", "/") + tail


def _exported(tree: ast.Module) -> list[str]:
    """Return the names in `__all__` if it is a literal list."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            values = getattr(node.value, "elts", [])
            return [v.value for v in values if isinstance(getattr(v, "value", None), str)]
    return []


_COMPILED = (".so", ".pyd", ".pyc")


@dataclass(frozen=True)
class SearchPath:
    """A directory to search for all modules, or `only` one. The user trusts names if `named`."""

    folder: Path
    only: str | None = None
    named: bool = False

    def file(self, module: str) -> Path | None:
        """Return the file of a module, NAME.py or NAME/__init__.py. None if it does not exist.

        Raises:
            UsageError: It is a link to a file outside the directory.
        """
        if self.only not in (None, module.partition(".")[0]):
            return None
        stem = self.folder.joinpath(*module.split("."))
        for path in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
            if path.is_file():
                return self._inside(path)
        return None

    def compiled(self, module: str) -> Path | None:
        """Return the compiled file of a module without a source file."""
        stem = self.folder.joinpath(*module.split("."))
        if self.file(module) or not stem.parent.is_dir():
            return None
        names = (path for path in sorted(stem.parent.iterdir()) if path.suffix in _COMPILED)
        return next((path for path in names if path.name.split(".")[0] == stem.name), None)

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(
                f"{path} is a link to a file outside {self.folder}, so it is not copied.",
                hint="Replace the link by the file, or name the folder of the file: --code PATH",
            )
        return path


def explicit_paths(paths: Iterable[Path], *, trusted: bool) -> list[SearchPath]:
    """Return the search paths of --code, in order. `trusted`: names defined there may be loaded.

    Raises:
        UsageError: A path is not a folder or a Python file.
    """
    return [search_path for path in paths for search_path in _search_paths_of(path, trusted)]


def require_paths(paths: Iterable[Path]) -> None:
    """Raise UsageError unless each path is a folder or a Python file."""
    explicit_paths(paths, trusted=False)


def default_paths(models: Iterable[str]) -> list[SearchPath]:
    """Return the directories of the model files, and `src` in them, or `code` of MLflow."""
    folders = dict.fromkeys(Path(model).parent.absolute() for model in models)
    within = {folder: "code" if (folder / "MLmodel").is_file() else "src" for folder in folders}
    return [SearchPath(path) for folder in folders for path in (folder, folder / within[folder])]


def scripts(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".py" and path.is_file()]


def package(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the directory that absolute imports of a file start from, and its packages."""
    folder, names = path.parent.absolute(), list[str]()
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, tuple(names)


def _search_paths_of(path: Path, trusted: bool) -> Iterator[SearchPath]:
    if path.is_dir():
        folder = path.absolute()
        yield SearchPath(folder, named=trusted)
        yield SearchPath(folder / "src", named=trusted)
        if (folder / "__init__.py").is_file():  # the package itself, not its parent
            yield SearchPath(folder.parent, only=folder.name, named=trusted)
    elif path.suffix == ".py" and path.is_file():
        yield SearchPath(path.parent.absolute(), only=path.stem, named=trusted)
    else:
        raise _unusable(path)


def _similar(path: Path) -> Path | None:
    """Return the folder or Python file with the most similar name."""
    from difflib import get_close_matches  # noqa: PLC0415 - seldom

    with suppress(OSError):
        names = [f.name for f in path.parent.iterdir() if f.is_dir() or f.suffix == path.suffix]
        found = get_close_matches(path.name, names, 1)
        return path.with_name(found[0]) if found else None
    return None


def _unusable(path: Path) -> UsageError:
    """Return the error of a value of --code that is neither a folder nor a Python file."""
    if not path.exists():
        reason, similar = "does not exist", _similar(path)
        hint = (
            f"Name the path that exists: --code {shlex.quote(str(similar))}"
            if similar
            else "Check the path, which starts at the current folder. Name the folder of the "
            "module, or the script that saved the model."
        )
    elif path.suffix == ".ipynb":
        reason, script = "is a notebook, not a Python file", path.with_suffix(".py")
        hint = f"Convert it: jupyter nbconvert --to script {path}, and give: --code {script}"
    else:
        reason = "is not a Python file"
        hint = "Give the folder that contains the module, or a file: --code FILE.py"
    return UsageError(f"The path {path} of --code {reason}.", hint=hint)
