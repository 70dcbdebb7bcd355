"""Atomic writes, links, careful reads, and the cache directory."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpack import processes


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a file that came with a model or was named by the user.

    Opening a pipe would wait for who writes to it, and a device may have no end.

    Args:
        path: Of the file; links are followed.
        most: The largest size in bytes.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no regular file, or larger than `most`.
    """
    require_regular(path, most)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:  # it has grown since
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def require_regular(path: Path, most: int) -> None:
    """Check a file as `read_regular` does, for libraries that take its name."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise ValueError("it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    if found.st_size > most:
        raise ValueError(f"it has more than {most:,} bytes")


def atomic_write_text(path: Path, text: str) -> None:
    """Writes `text` beside `path`, and puts it in its place when all of it is there.

    Raises:
        OSError: it cannot be written; what was at `path` still is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Has the two be one file, where they lie on one file system.

    Raises:
        OSError: it cannot be written.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def cache_directory(name: str) -> Path:
    """`$XDG_CACHE_HOME/modelpack/<name>`, made if need be.

    Source: XDG Base Directory Specification 0.8; a relative XDG_CACHE_HOME is ignored.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    path = (home if home.is_absolute() else Path.home() / ".cache") / "modelpack" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Gives a place beside `path` to make it in, and renames it to `path` when it is ready.

    What is under way when the block is left by an error or an interrupt is removed. Of two
    processes that make the same thing at once, the first one wins.
    """
    with processes.temporary_directory(".making-", path.parent) as scratch:
        made = scratch / path.name
        yield made
        try:
            made.rename(path)
        except OSError:
            if not path.exists():
                raise
