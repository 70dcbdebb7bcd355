"""The cache: files and directories that can be computed or downloaded again.

Each folder has a limit, and loses the entries that were not used for longest. An entry that was
used in the last hour stays, and so does a directory that a process holds.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from modelpack import files, processes

MIB, GIB = 2**20, 2**30


@dataclass(frozen=True)
class Limit:
    """The maximum number of entries of a folder, and of their bytes."""

    count: int
    size: int


LIMITS = {
    "answers": Limit(1000, 100 * MIB),
    "bases": Limit(20, 10 * GIB),
    "blobs": Limit(1000, 10 * GIB),
    "built": Limit(1000, MIB),
    "environments": Limit(20, 10 * GIB),
    "evidence": Limit(300, 200 * MIB),
    "layers": Limit(300, 200 * MIB),  # one of a layer with 12,000 entries has 2 MB
    "leaks": Limit(3000, 20 * MIB),
    "made": Limit(3000, 20 * MIB),
    "measurements": Limit(1000, 20 * MIB),
    "rulings": Limit(1000, 20 * MIB),
    "wheels": Limit(2000, 10 * GIB),
}
"""Folder -> its limit."""

_MIN_AGE = 3600.0
"""Seconds. Files in use are not locked: a run uses them soon after it has found them."""

_held: dict[Path, int] = {}
"""Directory -> descriptor with a shared lock."""


def root() -> Path:
    """Return `$XDG_CACHE_HOME/modelpack`, which may not exist.

    Source: XDG Base Directory Specification 0.8; a relative XDG_CACHE_HOME is ignored.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "modelpack"


def directory(folder: str) -> Path:
    """Return a folder of the cache, one of `LIMITS`, and create it if necessary.

    Raises:
        OSError: It cannot be created.
    """
    path = root() / folder
    path.mkdir(parents=True, exist_ok=True)
    return path


def read(folder: str, name: str) -> str:
    """Return the text of an entry, and note its use.

    Raises:
        OSError: The entry does not exist, or cannot be read.
        ValueError: It is not UTF-8.
    """
    path = directory(folder) / name
    text = path.read_text("utf-8")
    note_use(path)
    return text


def write(folder: str, name: str, text: str) -> None:
    """Store a text. A cache that is full or read-only keeps nothing."""
    with suppress(OSError, UnicodeEncodeError):
        files.atomic_write_text(directory(folder) / name, text)
        prune(folder)


def note_use(path: Path) -> None:
    """Make an entry the one that was used last."""
    with suppress(OSError):
        os.utime(path)


def hold(path: Path) -> bool:
    """Keep a directory of the cache until this process ends. False if it does not exist.

    Child processes that use the directory must end before this one.
    """
    if path in _held and _is_same(path, _held[path]):
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    with suppress(OSError):  # on a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not _is_same(path, descriptor):  # another process has just removed it
        os.close(descriptor)
        return False
    _held[path] = descriptor
    note_use(path)
    return True


def prune(folder: str) -> None:
    """Remove entries beyond the limit of a folder."""
    limit, size = LIMITS[folder], 0
    newest = time.time() - _MIN_AGE
    with suppress(OSError):
        for number, (used, path) in enumerate(_entries(directory(folder)), 1):
            if number <= limit.count:
                size += size_of(path)
            if (number > limit.count or size > limit.size) and used < newest:
                _remove(path)


def _entries(path: Path) -> list[tuple[float, Path]]:
    """List time of use and path of each entry, the latest first. Hidden ones are being written."""
    entries = []
    for entry in path.iterdir():
        with suppress(OSError):
            if not entry.name.startswith("."):
                entries.append((entry.stat().st_mtime, entry))
    return sorted(entries, key=itemgetter(0), reverse=True)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a directory."""
    return sum(_file_sizes(path))


def _file_sizes(path: Path) -> Iterator[int]:
    with suppress(OSError):
        if not path.is_dir():
            yield path.lstat().st_size
            return
    for parent, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                yield Path(parent, name).lstat().st_size


def _remove(path: Path) -> None:
    """Remove an entry, unless a process holds it or this process may not remove it."""
    with suppress(OSError):
        if not path.is_dir():
            path.unlink()
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with processes.temporary_directory(".old-", path.parent) as scratch:
                path.rename(scratch / path.name)  # at once, so that no process finds a part of it
        finally:
            os.close(descriptor)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
