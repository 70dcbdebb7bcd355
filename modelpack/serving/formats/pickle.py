"""A pickle, plain or in one of the containers that people put it in."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from pathlib import Path
from typing import Any, Callable

CONTAINERS: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
    (b"\x04\x22\x4d\x18", lambda path: _lz4().open(path)),
    (b"x", lambda path: io.BytesIO(zlib.decompress(path.read_bytes()))),
)


def load(path: Path) -> Any:
    """The object in the file. It runs the code that the file names: check its digest before."""
    with _open(path) as stream:
        return pickle.load(stream)  # noqa: S301 - inspected when packaged, its digest is checked


def _open(path: Path) -> Any:
    with path.open("rb") as stream:
        head = stream.read(8)
    for magic, opener in CONTAINERS:
        if head.startswith(magic):
            return opener(path)
    return path.open("rb")


def _lz4() -> Any:
    import lz4.frame  # noqa: PLC0415 - a library that only lz4 files need

    return lz4.frame
