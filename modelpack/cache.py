"""The folder where what is costly to make and safe to delete is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelpack import reaper


def folder(name: str) -> Path:
    """`$XDG_CACHE_HOME/modelpack/<name>`, made if need be.

    Source: XDG Base Directory Specification 0.8; a relative XDG_CACHE_HOME is ignored.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    path = (home if home.is_absolute() else Path.home() / ".cache") / "modelpack" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Gives a place beside `path` to make it in, and renames it to `path` when it is ready.

    What is under way when the block is left by an error or an interrupt is removed. Of two
    processes that make the same thing at once, the first one wins.
    """
    with reaper.scratch_folder(".making-", path.parent) as scratch:
        made = scratch / path.name
        yield made
        try:
            made.rename(path)
        except OSError:
            if not path.exists():
                raise
