"""The folder that a Dockerfile copies from, without what its .dockerignore leaves out.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Context:
    folder: Path

    def files(self, source: str) -> Iterator[tuple[str, Path]]:
        """What is at the path `source`: "" and the file that it is, or the folder and all that is
        in it by its path there, folders first. Nothing, where there is none.
        """
        top = self.folder / source.strip("/")
        if not self._leads_inside(top):
            return
        if top.is_dir() and not top.is_symlink():
            yield from self._walk(top, top)
        elif (top.is_symlink() or top.is_file()) and not self._is_left_out(top):
            yield "", top

    def _walk(self, folder: Path, top: Path) -> Iterator[tuple[str, Path]]:
        yield str(folder.relative_to(top)).removeprefix("."), folder
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                if not self._is_left_out(path) or any(self._kept(path)):
                    yield from self._walk(path, top)
            elif not self._is_left_out(path):
                yield str(path.relative_to(top)), path

    def _kept(self, folder: Path) -> Iterator[bool]:
        """Of everything in it: whether that is left in."""
        return (not self._is_left_out(path) for path in folder.rglob("*"))

    def _leads_inside(self, path: Path) -> bool:
        return path == self.folder or path.parent.resolve().is_relative_to(self.folder.resolve())

    def _is_left_out(self, path: Path) -> bool:
        """As the last pattern says that fits it, or a folder that it is in."""
        name = str(path.relative_to(self.folder))
        left_out = False
        for pattern, kept in self._patterns:
            if pattern.fullmatch(name):
                left_out = not kept
        return left_out

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], bool]]:
        try:
            lines = (self.folder / ".dockerignore").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return [(_pattern(line.removeprefix("!")), line.startswith("!")) for line in wanted]


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.strip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(p) or re.escape(p) for p in parts) + "(?:/.*)?")
