"""Files on their way into an image: where they are on this machine, and what they are there."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from modelpack.oci.image import in_file
from modelpack.oci.layer_writer import Member
from modelpack.oci.tar import Entry


@dataclass(frozen=True)
class Item:
    """What an image has at `path` ("opt/venv"): `source`, a file, a link or a folder on this
    machine; None for a folder that is nowhere yet. `target`: of a link, where it says something
    else on this machine.
    """

    path: str
    source: Path | None
    mode: int
    mtime: int
    target: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.source is None or (self.source.is_dir() and not self.source.is_symlink())

    def member(self) -> Member:
        """It as a layer has it: root's, as all of an image."""
        if self.source is None or self.is_folder:
            return Entry(self.path, "directory", self.mode, 0, 0, 0, self.mtime), None
        if self.source.is_symlink():
            target = self.target or str(self.source.readlink())
            return Entry(self.path, "symlink", 0o777, 0, 0, 0, self.mtime, target), None
        size = self.source.stat().st_size
        entry = Entry(self.path, "file", self.mode, 0, 0, size, self.mtime)
        return entry, in_file(self.source)


def item(path: str, source: Path, mode: int | None = None) -> Item:
    """`source` as it is: with its own mode, unless one is given, and its own time."""
    found = source.lstat()
    own = stat.S_IMODE(found.st_mode)
    return Item(path, source, own if mode is None else mode, int(found.st_mtime))
