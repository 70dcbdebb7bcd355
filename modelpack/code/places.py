"""Where the author's modules may lie, and the files that they are: never elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError

_COMPILED = (".so", ".pyd", ".pyc")


@dataclass(frozen=True)
class Place:
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


def named(paths: Iterable[Path], *, vouched: bool) -> list[Place]:
    """The places of --code, in its order. `vouched`: what is defined there may be loaded.

    Raises:
        UsageError: there is no such folder or file of Python.
    """
    return [place for path in paths for place in _of(path, vouched)]


def beside(models: Iterable[str]) -> list[Place]:
    """The folders in which the model's files lie, and `src` in them."""
    folders = dict.fromkeys(Path(model).parent.absolute() for model in models)
    return [Place(path) for folder in folders for path in (folder, folder / "src")]


def scripts(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == ".py" and path.is_file()]


def package(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that a file's absolute imports start from, and the packages that it lies in."""
    folder, names = path.parent.absolute(), list[str]()
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, tuple(names)


def _of(path: Path, vouched: bool) -> Iterator[Place]:
    if path.is_dir():
        folder = path.absolute()
        yield Place(folder, named=vouched)
        yield Place(folder / "src", named=vouched)
        if (folder / "__init__.py").is_file():  # the package itself, not the folder that it is in
            yield Place(folder.parent, only=folder.name, named=vouched)
    elif path.suffix == ".py" and path.is_file():
        yield Place(path.parent.absolute(), only=path.stem, named=vouched)
    else:
        what = "no file of Python" if path.exists() else "not there"
        if path.suffix == ".ipynb":
            what = "a notebook, and code is taken from folders and files of Python"
        raise UsageError(
            f"{path}, given as --code, is {what}.",
            hint="Give the folder in which the module lies, or a file: --code train.py",
        )
