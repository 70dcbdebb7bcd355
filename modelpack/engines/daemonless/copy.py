"""COPY: build context, ignore rules, copied items."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelpack.dockerfile import absolute_path, unsupported_instruction
from modelpack.engines.daemonless.plan import Copy
from modelpack.oci.image import in_file
from modelpack.oci.layer_writer import Member
from modelpack.oci.tar import Entry


def copied_items(copy: Copy, source: Context, workdir: str) -> list[CopiedFile]:
    """Return the files that a COPY creates, without their parent directories.

    Raises:
        BuildFailedError: There is nothing to copy, or its mode cannot be set.
    """
    return [item for name in copy.sources for item in _items(copy, source, name, workdir)]


def _items(copy: Copy, source: Context, name: str, workdir: str) -> Iterator[CopiedFile]:
    files = list(source.files(name))
    if not files:
        raise unsupported_instruction(copy.instruction, f"{name!r} does not exist")
    at = absolute_path(copy.target, workdir)
    for below, path in files:
        if below == "" and not _is_directory(path):
            is_inside = copy.target.endswith(("/", "/.")) or copy.target == "."
            yield item(_joined(at, path.name if is_inside else ""), path, copy.mode)
        elif copy.mode is not None and _is_directory(path):
            raise unsupported_instruction(copy.instruction, "only files can get a mode")
        elif _joined(at, below):
            yield item(_joined(at, below), path, copy.mode)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}".strip("/")


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


# Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
@dataclass(frozen=True)
class Context:
    """A directory that COPY reads, without what its `.dockerignore` excludes."""

    folder: Path

    def path(self, source: str) -> Path:
        return self.folder / source.strip("/")

    def files(self, source: str) -> Iterator[tuple[str, Path]]:
        """Yield the path below `source`, and the path on this machine, of all files at `source`.

        A file has the path ""; so has a directory, which comes before its contents.
        """
        top = self.path(source)
        if not self._is_inside(top):
            return
        if top.is_dir() and not top.is_symlink():
            yield from self._walk(top, top)
        elif (top.is_symlink() or top.is_file()) and not self._is_ignored(top):
            yield "", top

    def _walk(self, folder: Path, top: Path) -> Iterator[tuple[str, Path]]:
        yield str(folder.relative_to(top)).removeprefix("."), folder
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                if not self._is_ignored(path) or self._has_kept_files(path):
                    yield from self._walk(path, top)
            elif not self._is_ignored(path):
                yield str(path.relative_to(top)), path

    def _has_kept_files(self, folder: Path) -> bool:
        return not all(map(self._is_ignored, folder.rglob("*")))

    def _is_inside(self, path: Path) -> bool:
        return path == self.folder or path.parent.resolve().is_relative_to(self.folder.resolve())

    def _is_ignored(self, path: Path) -> bool:
        """Return what the last pattern decides that matches the path or a parent of it."""
        name = str(path.relative_to(self.folder))
        decisions = [not kept for pattern, kept in self._patterns if pattern.fullmatch(name)]
        return decisions[-1] if decisions else False

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], bool]]:
        try:
            lines = (self.folder / ".dockerignore").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        texts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return [(_pattern(text.removeprefix("!")), text.startswith("!")) for text in texts]


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.strip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(p) or re.escape(p) for p in parts) + "(?:/.*)?")


@dataclass(frozen=True)
class CopiedFile:
    """A file, link or directory of an image.

    Attributes:
        path: In the image, as "opt/venv".
        source: On this machine; None for a new directory.
        target: Target of a link, if it differs from that of `source`.
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
        """Return the member of a layer, which belongs to root."""
        if self.source is None or self.is_folder:
            return Entry(self.path, "directory", self.mode, 0, 0, 0, self.mtime), None
        if self.source.is_symlink():
            target = self.target or str(self.source.readlink())
            return Entry(self.path, "symlink", 0o777, 0, 0, 0, self.mtime, target), None
        size = self.source.stat().st_size
        entry = Entry(self.path, "file", self.mode, 0, 0, size, self.mtime)
        return entry, in_file(self.source)


def item(path: str, source: Path, mode: int | None = None) -> CopiedFile:
    """Return the file `source` with its own time, and its own mode unless `mode` is set."""
    status = source.lstat()
    own = stat.S_IMODE(status.st_mode)
    return CopiedFile(path, source, own if mode is None else mode, int(status.st_mtime))


def copy_items(items: Iterable[CopiedFile], root: Path) -> None:
    """Copy files below `root`, with their modes and times."""
    folders: list[CopiedFile] = []
    for item in items:
        target = root / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if item.source is None or item.is_folder:
            target.mkdir(exist_ok=True)
            folders.append(item)
        else:
            shutil.copyfile(item.source, target, follow_symlinks=False)
            _set(target, item)
    for item in reversed(folders):  # after what is in them
        _set(root / item.path, item)


def _set(target: Path, item: CopiedFile) -> None:
    if not target.is_symlink():
        target.chmod(item.mode)
    os.utime(target, (item.mtime, item.mtime), follow_symlinks=False)
