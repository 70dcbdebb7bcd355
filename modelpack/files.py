"""Atomic writes, links, and careful reads."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from modelpack import processes


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a file that came with a model or was named by the user.

    Opening a pipe waits for a writer, and a device may have no end.

    Links are followed. `most` is the maximum size in bytes.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not regular, or larger than `most`.
    """
    require_regular(path, most)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:  # it has grown since
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def require_regular(path: Path, most: int) -> None:
    """Check a file as `read_regular` does, for libraries that open it by name."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if status.st_size > most:
        raise ValueError(f"it has more than {most:,} bytes")


def atomic_write_text(path: Path, text: str) -> None:
    """Replace the file at `path` by one with `text`, or leave it as it was.

    No process watches this write, because there are thousands of them: a killed process may leave
    a hidden file.

    Raises:
        OSError: The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the context ends without an error.

    A killed process leaves nothing: the file is in a temporary directory that is watched.

    Raises:
        OSError: The file cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with processes.temporary_directory(f".{path.name}.", path.absolute().parent) as directory:
        partial = directory / path.name
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)


@contextmanager
def atomic_directory(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a path next to `path` that becomes `path` when the context ends without an error.

    A killed process leaves nothing.

    Args:
        path: The directory. Its parent must exist.
        replace: Create the yielded directory, and replace an existing one. Without it, the caller
            creates it, and the first of two processes wins.
    """
    with processes.temporary_directory(f".{path.name}.", path.parent) as scratch:
        new = scratch / path.name
        if replace:
            new.mkdir()
        yield new
        if replace:
            _swap(new, path, scratch / "old")
            return
        try:
            new.rename(path)
        except OSError:
            if not path.exists():
                raise


def _swap(new: Path, target: Path, old: Path) -> None:
    try:
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Link `target` to the file `source`, or copy it if they are on different file systems.

    Raises:
        OSError: The file cannot be written.
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
