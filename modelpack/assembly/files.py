"""ROOT: gives files modes and times that tell of the content alone: of no machine, no hour."""

from __future__ import annotations

import os
import stat
import sys
from typing import Iterator

MTIME = 315532800  # 1980-01-01, the first day that every archive format can hold


def walk(folder: str) -> Iterator[str]:
    """Every file and folder below, in one order everywhere, a folder after what is in it."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            yield from walk(path)
        yield path


def tidy(root: str, mode: int = 0o644) -> None:
    """`mode`: of files that are not to be executed."""
    for path in [*walk(root), root]:
        if not os.path.islink(path):
            os.chmod(path, _mode(path, mode))
        os.utime(path, (MTIME, MTIME), follow_symlinks=False)


def _mode(path: str, mode: int) -> int:
    present = os.stat(path).st_mode
    if os.path.isdir(path):
        return 0o1777 if present & stat.S_ISVTX else 0o755
    return mode | 0o111 if present & 0o111 else mode


if __name__ == "__main__":
    tidy(sys.argv[1])
