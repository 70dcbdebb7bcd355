"""The only model in a zip or tar archive, unpacked for the time of a command.

Training services save `model.tar.gz` with one file. An archive with several models, or with code,
which may change predictions, is left to the inspector, which names it.
"""

from __future__ import annotations

import io
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from modelpack.errors import UsageError
from modelpack.inspection import detect, known_formats
from modelpack.inspection import stream as streams
from modelpack.inspection.nodes import Malformed
from modelpack.oci import tar
from modelpack.oci.streams import HashingReader, decompress
from modelpack.processes import temporary_directory

from .unpacked import MAX_BYTES, MAX_MEMBERS, MAX_RATIO, METHODS, RATIO_FLOOR

_ENDS = 2**16
_BLOCK = 2**20
_IGNORED = re.compile(r"(.*/)?(\._.*|\.DS_Store)|__MACOSX/.*", re.DOTALL)
_CODE = {".py", ".ipynb", ".r", ".java"}
_RECORD = ".record.json"
_DAMAGED = (UsageError, OSError, EOFError, ValueError, NotImplementedError, RuntimeError,
            zipfile.BadZipFile, zlib.error)  # fmt: skip


@contextmanager
def unpacked_model(path: Path) -> Iterator[Path]:
    """Yield the only model of an archive, in a temporary directory; any other file as it is."""
    name = find_only_model(path)
    if name is None:
        yield path
        return
    with temporary_directory() as parent:
        yield unpack(path, name, parent)


def find_only_model(path: Path) -> str | None:
    """Return the name of the only model in an archive.

    None if the file is not an archive, if it is damaged or grows beyond the limits, or if it
    contains several models, code, or a file in a format that modelpack does not read.
    """
    models = []
    try:
        for name, content in _members(path):
            if _IGNORED.fullmatch(name) or name.endswith(_RECORD):
                continue
            if PurePosixPath(name).suffix.lower() in _CODE:
                return None
            head, tail = _ends(content)
            if detect.is_read(head, tail):
                models.append(name)
            elif (form := detect.recognise(head, tail)) and not known_formats.is_document(form):
                return None
    except _DAMAGED:
        return None
    return models[0] if len(models) == 1 else None


def unpack(path: Path, name: str, parent: Path) -> Path:
    """Copy a member and its record to a folder with the name of the archive, and return its path.

    Raises:
        UsageError: The archive was changed.
    """
    stem = path.name.partition(".")[0]
    folder = parent / (re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII) or "model")
    folder.mkdir()
    target = folder / (re.sub(r"[^\w.-]", "_", PurePosixPath(name).name, flags=re.ASCII) or "model")
    targets = {name: target, f"{name}{_RECORD}": target.with_name(f"{target.name}{_RECORD}")}
    try:
        for member, content in _members(path):
            if copy := targets.pop(member, None):
                with copy.open("xb") as file:
                    shutil.copyfileobj(content, file, _BLOCK)
    except _DAMAGED as error:
        raise UsageError(f"{path} was changed while it was read.", hint="Try again.") from error
    return target


def _members(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the names and contents of the files in an archive, and nothing for other files."""
    limit = min(MAX_BYTES, max(RATIO_FLOOR, MAX_RATIO * path.stat().st_size))
    form = _form(path)
    if form == known_formats.ZIP:
        yield from _zip_members(path, limit)
    elif form == known_formats.TAR:
        yield from _tar_members(path, limit)


def _form(path: Path) -> known_formats.Format | None:
    """Return the format of a file, of a compressed one that of its contents."""
    with path.open("rb") as file:
        head = file.read(_ENDS)
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _ENDS))
        tail = file.read()
    if streams.container(head) != "gzip":
        return detect.recognise(head, tail)
    try:
        inner = next(streams.chunks("gzip", head, streams.HashingFile(io.BytesIO())), b"")
    except Malformed:
        return None
    return detect.recognise(inner)


def _tar_members(path: Path, limit: int) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as file, decompress(file) as plain:
        for number, (entry, content) in enumerate(tar.members(HashingReader(plain, limit))):
            if number >= MAX_MEMBERS or entry.kind not in {"file", "directory"}:
                raise UsageError("the archive contains a link, a device or too many members")
            if content is not None:
                yield entry.path, io.BufferedReader(content, _BLOCK)


def _zip_members(path: Path, limit: int) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        names = [info.filename for info in infos]
        is_odd = any(i.flag_bits & 1 or i.compress_type not in METHODS for i in infos)
        if is_odd or len(set(names)) < len(names) or len(names) > MAX_MEMBERS:
            raise UsageError("the archive is encrypted, or its members are not distinct")
        if sum(info.file_size for info in infos) > limit:
            raise UsageError(f"its members have more than {limit:,} bytes")
        for info in infos:
            with archive.open(info) as content:
                yield info.filename, content


def _ends(content: IO[bytes]) -> tuple[bytes, bytes]:
    """Return the first and last bytes of a stream, which is read to its end."""
    head = content.read(_ENDS)
    last = head
    while block := content.read(_BLOCK):
        last = (last + block)[-_ENDS:]
    return head, last
