"""`python -m`: sets reproducible modes and times; resolves links within a root."""

from __future__ import annotations

import os
import stat
import sys
from typing import Iterator

MTIME = 315532800  # 1980-01-01, the first day that every archive format can hold


def walk(folder: str) -> Iterator[str]:
    """Yield every file and folder below `folder` in a fixed order, contents before folders."""
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            yield from walk(path)
        yield path


def tidy(root: str, mode: int = 0o644) -> None:
    """Set modes and times of all files. `mode` is that of files that are not executable."""
    for path in [*walk(root), root]:
        if not os.path.islink(path):
            os.chmod(path, _mode(path, mode))
        os.utime(path, (MTIME, MTIME), follow_symlinks=False)


def _mode(path: str, mode: int) -> int:
    present = os.stat(path).st_mode
    if os.path.isdir(path):
        return 0o1777 if present & stat.S_ISVTX else 0o755
    return mode | 0o111 if present & 0o111 else mode


_LINKS = 40  # as many as Linux follows


class Tree:
    """A folder with the files of an image. Paths are absolute in the image: "/usr/bin/env"."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def trail(self, place: str) -> list[str]:
        """Return the links on the way to `place`, then its target; [] if it does not exist."""
        passed: list[str] = []
        current, parts = "", place.split("/")
        while parts:
            part = parts.pop(0)
            next_ = os.path.normpath(f"{current}/{part}")
            path = self.folder + next_
            if os.path.islink(path) and len(passed) < _LINKS:
                passed.append(next_)
                target = os.readlink(path)
                current = "" if target.startswith("/") else current
                parts[:0] = target.split("/")
            elif os.path.islink(path) or not os.path.exists(path):
                return []
            else:
                current = next_.rstrip("/")
        return [*passed, current]

    def below(self, place: str) -> list[str]:
        """Return the trail of `place` and all paths below it."""
        trail = self.trail(place)
        path = self.folder + trail[-1] if trail else ""
        if not os.path.isdir(path):
            return trail
        return trail + [inside[len(self.folder) :] for inside in walk(path)]

    def merged(self, place: str) -> str:
        """Follow a link in the root folder: return "/usr/lib/x" for "/lib/x".

        Raises:
            ValueError: The path contains "..".
        """
        parts = [part for part in place.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ValueError(f"a file has the path {place!r}")
        first = os.path.join(self.folder, *parts[:1])
        if len(parts) > 1 and os.path.islink(first):
            parts[:1] = os.readlink(first).strip("/").split("/")
        return "/" + "/".join(parts)


if __name__ == "__main__":
    tidy(sys.argv[1])
