"""COPY: build context, ignore rules, copied items."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from modelpack.dockerfile import Instruction, unsupported_instruction
from modelpack.oci.image import in_file
from modelpack.oci.layer_writer import Member
from modelpack.oci.tar import Entry

_FLAGS = {"from", "chmod", "chown", "link"}


def copied_items(instruction: Instruction, source: Context, workdir: str) -> list[CopiedFile]:
    """Its items, without the folders that they are in.

    Raises:
        BuildFailedError: it copies nothing, or asks for what is not understood.
    """
    if not {flag.partition("=")[0] for flag in instruction.flags} <= _FLAGS:
        raise unsupported_instruction(instruction, "it has an option that is not known")
    if (instruction.flag("chown") or "0:0") not in {"0:0", "0", "root", "root:root"}:
        raise unsupported_instruction(instruction, "files of an image belong to root")
    *sources, target = instruction.array() or instruction.text.split()
    if not sources or any(set(name) & set("*?[$") for name in (*sources, target)):
        raise unsupported_instruction(instruction, "plain names are expected")
    found = [item for name in sources for item in _of(instruction, source, name, target, workdir)]
    if len(sources) > 1 and not target.endswith("/"):
        raise unsupported_instruction(
            instruction, "several files go into a folder, which ends with /"
        )
    return found


def _of(
    instruction: Instruction, source: Context, name: str, target: str, workdir: str
) -> Iterator[CopiedFile]:
    found = list(source.files(name))
    if not found:
        raise unsupported_instruction(instruction, f"there is no {name!r} to copy")
    mode = _mode(instruction)
    at = path(target, workdir)
    for below, place in found:
        if below == "" and not _is_folder(place):
            inside = place.name if target.endswith(("/", "/.")) or target == "." else ""
            yield item(_joined(at, inside), place, mode)
        elif mode is not None and _is_folder(place):
            raise unsupported_instruction(instruction, "a mode is for files, and this is a folder")
        elif _joined(at, below):
            yield item(_joined(at, below), place, mode)


def path(name: str, workdir: str) -> str:
    """`name`, as seen from `workdir`, as a path from the root without a slash before it."""
    parts: list[str] = []
    for part in PurePosixPath(workdir, name).parts[1:]:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _mode(instruction: Instruction) -> int | None:
    text = instruction.flag("chmod")
    if text is None:
        return None
    if not (text.isdigit() and set(text) <= set("01234567") and int(text, 8) <= 0o777):
        raise unsupported_instruction(instruction, "a mode in octal is expected")
    return int(text, 8)


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}".strip("/")


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


# Source: https://docs.docker.com/build/concepts/context/#dockerignore-files
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


@dataclass(frozen=True)
class CopiedFile:
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


def item(path: str, source: Path, mode: int | None = None) -> CopiedFile:
    """`source` as it is: with its own mode, unless one is given, and its own time."""
    found = source.lstat()
    own = stat.S_IMODE(found.st_mode)
    return CopiedFile(path, source, own if mode is None else mode, int(found.st_mtime))


def copy_items(items: Iterable[CopiedFile], root: Path) -> None:
    """Copies them below `root`, with their modes and times."""
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
