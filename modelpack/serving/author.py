"""The modules that the model's author wrote, in the bundle's folder `code`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Iterator

from .errors import CannotStartError


@contextmanager
def importable(directory: Path, main: str | None) -> Iterator[None]:
    """From here on, the author's modules can be imported. Until the block is left, the names that a
    file has of `__main__`, the script that saved it, are those of the module `main`; the classes
    themselves know that they are of `main`.

    Raises:
        CannotStartError: `main` cannot be imported.
    """
    folder = (directory / "code").resolve()
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    ours = sys.modules["__main__"]
    if main:
        sys.modules["__main__"] = _imported(main)
    try:
        yield
    finally:
        sys.modules["__main__"] = ours


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        kind = type(error).__name__
        raise CannotStartError(f"the script {name} does not load: {kind}: {error}") from error
