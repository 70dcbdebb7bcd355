"""A strict reader of tars, one entry at a time."""

from __future__ import annotations

import math
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal, cast, get_args

from modelpack.errors import UsageError
from modelpack.oci import streams
from modelpack.oci.streams import CountingReader, Section, damaged_layer

Content = Section


def members(stream: CountingReader) -> Iterator[tuple[Entry, Content | None]]:
    """Yield the entries in their order, and the content of regular files.

    The content must be read before the next entry. At the end, all of the stream has been read.

    Raises:
        UsageError: The stream is not a tar, or not a valid layer.
    """
    try:
        yield from _members(stream)
    except tarfile.TarError as error:
        raise damaged_layer(str(error)) from error
    except RecursionError as error:
        raise damaged_layer("one of its entries has too many headers") from error
    if any(stream.last) or any(any(chunk) for chunk in stream.chunks()):
        raise damaged_layer("something follows its end")


def _members(stream: CountingReader) -> Iterator[tuple[Entry, Content | None]]:
    file = cast("IO[bytes]", stream)
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Bounded, errors="surrogateescape") as tar:
        paths = 0
        for _ in range(streams.MEMBERS):
            member = tar.next()
            if member is None:
                return
            paths += len(member.name) + len(member.linkname)
            if paths > streams.PATHS:
                raise damaged_layer(f"the paths in it have more than {streams.PATHS} bytes")
            tar.members = []  # type: ignore[attr-defined]  # or it keeps all of them
            yield (
                Entry.from_tar_member(member),
                Section(stream, member.size) if member.isreg() else None,
            )
    raise damaged_layer(f"it has more than {streams.MEMBERS} entries")


class OutsideError(UsageError):
    """A path in a tar leaves its directory."""


class _Bounded(tarfile.TarInfo):
    """Rejects headers that are longer than any useful one, before they are in memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.XGLTYPE:
            raise damaged_layer("it has global headers, which engines ignore")
        if not self.isreg() and self.type not in _WITHOUT_CONTENT and self.size > streams.EXTENSION:
            raise damaged_layer(f"the header of one of its entries has {self.size} bytes")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


_WITHOUT_CONTENT = frozenset(
    {
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    }
)


# Source: image-spec, layer.md. Engines resolve a path from the root of the image, with or without a
# leading slash. Paths with ".." are rejected here.
Kind = Literal["file", "directory", "symlink", "hardlink", "device", "fifo"]
KINDS = frozenset(get_args(Kind))

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

_CAPABILITIES = "SCHILY.xattr.security.capability"
_TYPES: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "fifo",
}


@dataclass(frozen=True)
class Entry:
    """An entry of a layer.

    Attributes:
        path: "opt/venv/bin/python", or "" for the root.
        mode: The 12 permission bits.
        size: Of a regular file, in bytes.
        mtime: Seconds since 1970.
        target: Of a link. For a hard link, a path as `path`.
        sha256: Of the content of a regular file.
        capabilities: Whether it has file capabilities.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: str = ""
    sha256: str = ""
    capabilities: bool = False

    @classmethod
    def from_tar_member(cls, member: tarfile.TarInfo) -> Entry:
        """Return the entry of a member, without its digest.

        Raises:
            UsageError: No layer may have such an entry.
        """
        kind = _TYPES.get(member.type)
        is_sane = member.size >= 0 and math.isfinite(member.mtime)
        if kind is None or member.sparse is not None or not is_sane:
            raise unsupported_entry(member.name, "is of a kind that no layer has")
        target = member.linkname if kind in {"symlink", "hardlink"} else ""
        if not _fits(target):
            raise unsupported_entry(member.name, "points to a path that no file can have")
        return cls(
            path=path(member.name),
            kind=kind,
            mode=stat.S_IMODE(member.mode),
            uid=member.uid,
            gid=member.gid,
            size=member.size if kind == "file" else 0,
            mtime=int(member.mtime),
            target=path(target) if kind == "hardlink" else target,
            capabilities=_CAPABILITIES in member.pax_headers,
        )


def path(name: str) -> str:
    """Return the name of a member as a path from the root, without slashes around it.

    Raises:
        UsageError: The path leaves its directory, or no file can have it.
    """
    names = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in names:
        error = unsupported_entry(name, "leaves its directory")
        raise OutsideError(error.message, hint=error.hint)
    if not _fits(name) or any(len(part.encode(*_BYTES)) > streams.NAME for part in names):
        raise unsupported_entry(name, "has a name that no file can have")
    return "/".join(names)


_BYTES = ("utf-8", "surrogateescape")


def _fits(name: str) -> bool:
    return "\0" not in name and len(name.encode(*_BYTES)) <= streams.PATH


def unsupported_entry(name: str, why: str) -> UsageError:
    return UsageError(
        f"A layer of the image cannot be trusted: its entry {name[:200]!r} {why}.",
        hint="Get the image again, or rebuild it.",
    )
