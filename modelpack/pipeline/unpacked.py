"""MLflow folders in zip archives, unpacked for the time of a command."""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from modelpack.errors import ModelRefusedError
from modelpack.processes import temporary_directory

_DESCRIPTION = "MLmodel"
_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\5\6"
_TAIL_BYTES = 2**16 + _END.size
_MAX_DIRECTORY_BYTES = 2**20
MAX_MEMBERS = 1_000
MAX_BYTES = 4 * 2**30
MAX_RATIO, RATIO_FLOOR = 200, 64 * 2**20
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_DAMAGED = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError, zlib.error)


def has_description(path: Path) -> bool:
    """Return whether a file is a zip archive whose directory names an `MLmodel`.

    Only the directory is read, and only if it is small: archives of skops and PyTorch may have
    many members.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                return False
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            at = tail.rfind(_END_MARK)
            if at < 0 or at + _END.size > len(tail):
                return False
            *_, length, _, _ = _END.unpack_from(tail, at)
            if length > min(_MAX_DIRECTORY_BYTES, start + at):
                return False
            file.seek(start + at - length)
            return re.search(rb"(?:^|[/\0])MLmodel(?:PK|$)", file.read(length)) is not None
    except (OSError, ValueError):
        return False


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield the MLflow folder of an archive, in a temporary directory.

    Raises:
        ModelRefusedError: The archive is damaged or hostile.
    """
    with temporary_directory() as parent:
        yield unpack(path, parent)


def unpack(path: Path, parent: Path) -> Path:
    """Unpack the MLflow folder of an archive into a folder of the same name in `parent`.

    Raises:
        ModelRefusedError: The archive is damaged or hostile.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive.infolist())
            root = _root(path, members)
            folder = parent / (re.sub(r"[^\w.-]", "_", path.stem, flags=re.ASCII) or "model")
            folder.mkdir()
            for member in members:
                parts = PurePosixPath(member.filename).parts
                if parts[: len(root)] == root:
                    _write(archive, member, folder.joinpath(*parts[len(root) :]))
    except _DAMAGED as error:
        raise _refused(path, f"the archive is damaged ({type(error).__name__})") from error
    return folder


def _members(path: Path, infos: Sequence[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Return the files of the archive, all of which are harmless to write."""
    if len(infos) > MAX_MEMBERS:
        raise _refused(path, f"the archive has more than {MAX_MEMBERS:,} members")
    members = [info for info in infos if not info.is_dir()]
    for info in infos:
        name, parts = info.filename, PurePosixPath(info.filename).parts
        shown = repr(name)[1:-1][:100]
        if not parts or name.startswith("/") or ".." in parts or re.search(r"[\0\\:]", name):
            raise _refused(path, f"its member {shown} leaves the folder")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _refused(path, f"its member {shown} is a symbolic link")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in METHODS:
            raise _refused(path, f"its member {shown} is encrypted or compressed by other methods")
    if len({info.filename for info in members}) < len(members):
        raise _refused(path, "two of its members have the same name")
    total, packed = sum(i.file_size for i in members), path.stat().st_size
    if total > min(MAX_BYTES, max(RATIO_FLOOR, MAX_RATIO * packed)):
        raise _refused(path, f"its members have {total:,} bytes, more than modelpack unpacks")
    return members


def _root(path: Path, members: Sequence[zipfile.ZipInfo]) -> tuple[str, ...]:
    """Return the folder in the archive whose `MLmodel` is nearest to its top."""
    names = [PurePosixPath(member.filename).parts for member in members]
    roots = sorted((parts[:-1] for parts in names if parts[-1] == _DESCRIPTION), key=len)
    if not roots or (len(roots) > 1 and len(roots[0]) == len(roots[1])):
        raise _refused(path, f"it contains {len(roots)} models of MLflow instead of one")
    return roots[0]


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write a member, of which `zipfile` returns no more bytes than the archive declares."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)


def _refused(path: Path, problem: str) -> ModelRefusedError:
    name = repr(path.name)[1:-1]
    return ModelRefusedError(
        f"{name} is refused and was not executed: {problem}.",
        hint="Pack the folder that MLflow wrote again, and nothing else.",
    )
