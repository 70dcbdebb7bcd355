"""A file is written whole, or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
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
