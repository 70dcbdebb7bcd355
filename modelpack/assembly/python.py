"""Where the base image has its Python: told by variables, if that is not where this one runs."""

from __future__ import annotations

import os
import sys


def library() -> str:
    """The folder of the standard library."""
    return os.environ.get("MODELPACK_LIBRARY") or os.path.dirname(os.__file__)


def interpreter() -> str:
    return os.environ.get("MODELPACK_INTERPRETER") or os.path.realpath(sys.executable)


def raising() -> list[str]:
    """The paths of what raises privileges, where the base was unpacked without that."""
    with open(os.environ.get("MODELPACK_RAISING") or os.devnull, encoding="utf-8") as file:
        return file.read().splitlines()
