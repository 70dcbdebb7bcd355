"""Unpickling restricted to the names that were in the file when it was inspected."""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO, Collection

from ..errors import StartupError

ENCODING = "latin-1"


class Unpickler(pickle.Unpickler):
    """An unpickler that looks up no names but `names`, each as "module:name".

    `find_class` receives the names as the file contains them. Names of Python 2 are translated
    after the check. Strings of Python 2 are read as Latin-1, which keeps the bytes of its arrays;
    Python 3 writes none.
    """

    def __init__(self, stream: BinaryIO, names: Collection[str]) -> None:
        super().__init__(stream, encoding=ENCODING)
        self._names = names

    def find_class(self, module: str, name: str) -> Any:
        check(module, name, self._names)
        return super().find_class(module, name)


def check(module: str, name: str, names: Collection[str]) -> None:
    """Raise StartupError unless "module:name", which the file looks up, is one of `names`."""
    if f"{module}:{name}" not in names:
        text = ascii(f"{module}.{name}"[:200])
        raise StartupError(
            f"the model file names {text}, which is not among the globals in modelpack.json: the "
            "file changed after its inspection."
        )
