"""A plain pickle."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection

from ..unpickling import Unpickler


def load(stream: BinaryIO, names: Collection[str]) -> Any:
    """The object in the file."""
    return Unpickler(stream, names).load()
