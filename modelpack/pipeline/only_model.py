"""The only model in a zip or tar archive, unpacked for the time of a command.

Training services save `model.tar.gz` with one file. An archive with several models, or with code,
which may change predictions, is left to the inspector, which names it. One that is dangerous to
unpack is refused, because the inspector would advise to unpack it.
"""

from __future__ import annotations

import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from modelpack.errors import ModelRefusedError, UsageError
from modelpack.inspection import detect, known_formats
from modelpack.inspection import stream as streams
from modelpack.inspection.nodes import Malformed
from modelpack.oci import tar
from modelpack.oci.streams import HashingReader, decompress
from modelpack.processes import temporary_directory

from .unpacked import MAX_BYTES, MAX_MEMBERS, MAX_RATIO, METHODS, RATIO_FLOOR

_ENDS = 2**16
_BLOCK = 2**20
_HEADERS = 2**14
"""Bytes of a tar for each member: its headers, and zeros up to the next one."""
_MAX_SHOWN = 100
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

    None if the file is not an archive, if it is damaged, or if it contains several models, code, or
    a file in a format that modelpack does not read.

    Raises:
        ModelRefusedError: It contains a link, a device, a path that leaves it, too many members, or
            more bytes than modelpack unpacks.
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
        ModelRefusedError: As `find_only_model`.
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
    total = 0
    with path.open("rb") as file, decompress(file) as plain:
        reader = HashingReader(plain, limit + MAX_MEMBERS * _HEADERS)
        try:
            for number, (entry, content) in enumerate(tar.members(reader)):
                total += entry.size
                _require_few(path, number + 1, total, limit)
                if entry.kind not in {"file", "directory"}:
                    raise _refused(path, f"its member {_shown(entry.path)} is a {entry.kind}")
                if content is not None:
                    yield entry.path, io.BufferedReader(content, _BLOCK)
        except tar.OutsideError as error:
            raise _refused(path, "a member leaves the folder in which it is unpacked") from error


def _zip_members(path: Path, limit: int) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        names = [info.filename for info in infos]
        is_odd = any(i.flag_bits & 1 or i.compress_type not in METHODS for i in infos)
        if is_odd or len(set(names)) < len(names):
            raise UsageError("the archive is encrypted, or its members are not distinct")
        _require_few(path, len(infos), sum(info.file_size for info in infos), limit)
        for info in infos:
            mode = info.external_attr >> 16
            if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                raise _refused(path, f"its member {_shown(info.filename)} is a link or a device")
            if ".." in re.split(r"[/\\]", info.filename) or info.filename[:1] in {"/", "\\"}:
                raise _refused(path, f"its member {_shown(info.filename)} leaves the folder")
        for info in infos:
            with archive.open(info) as content:
                yield info.filename, content


def _require_few(path: Path, count: int, size: int, limit: int) -> None:
    if count > MAX_MEMBERS:
        raise _refused(path, f"it has more than {MAX_MEMBERS:,} members")
    if size > limit:
        raise _refused(path, f"its members have more than {limit:,} bytes")


def _shown(name: str) -> str:
    return repr(name[:_MAX_SHOWN])[1:-1]


def _refused(path: Path, problem: str) -> ModelRefusedError:
    return ModelRefusedError(
        f"{repr(path.name)[1:-1]} is refused and was not unpacked: {problem}.",
        hint="Pack the file of the model again, and nothing else.",
    )


def _ends(content: IO[bytes]) -> tuple[bytes, bytes]:
    """Return the first and last bytes of a stream, which is read to its end."""
    head = content.read(_ENDS)
    last = head
    while block := content.read(_BLOCK):
        last = (last + block)[-_ENDS:]
    return head, last
