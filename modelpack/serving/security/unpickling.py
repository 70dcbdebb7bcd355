"""Unpickling restricted to the names that were in the file when it was inspected."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO, Collection

from ..errors import StartupError


class Unpickler(pickle.Unpickler):
    """Reads a pickle from `stream`. `names`: the "module:name" that it may look up.

    Of a class or function, find_class is asked first, with the names that the file holds: those of
    Python 2, too, which the unpickler translates afterwards.
    """

    def __init__(self, stream: BinaryIO, names: Collection[str]) -> None:
        super().__init__(stream)
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        check(module, name, self._names)
        return super().find_class(module, name)


def check(module: str, name: str, names: Collection[str]) -> None:
    """Let the lookup of `name` in `module` pass.

    Raises:
        StartupError: it is not one of `names`.
    """
    if f"{module}:{name}" not in names:
        wanted = ascii(f"{module}.{name}"[:200])
        raise StartupError(
            f"the model file names {wanted}, which is not among the globals in modelpack.json: it "
            "was not there when the file was inspected."
        )
