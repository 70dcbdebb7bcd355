"""Writes the tar of a layer: the same files give the same bytes."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Item:
    """What a layer has at `path` ("opt/venv"): `source`, a file, a link or a folder on this
    machine; None for a folder that is nowhere yet.
    """

    path: str
    source: Path | None
    mode: int
    mtime: int


def item(path: str, source: Path, mode: int | None = None) -> Item:
    """`source` as it is: with its own mode, unless one is given, and its own time."""
    found = source.lstat()
    return Item(path, source, stat.S_IMODE(found.st_mode) if mode is None else mode, int(found.st_mtime))


def write(items: Iterable[Item], stream: IO[bytes]) -> None:
    """Writes them in the order of their paths, as root's."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=2**18) as tar:
        for entry in sorted(items, key=lambda entry: entry.path.split("/")):
            _add(tar, entry)


def _add(tar: tarfile.TarFile, entry: Item) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = entry.mode, entry.mtime
    if entry.source is None or (entry.source.is_dir() and not entry.source.is_symlink()):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif entry.source.is_symlink():
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.source)
        info.mode = 0o777
        tar.addfile(info)
    else:
        with entry.source.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            tar.addfile(info, file)
