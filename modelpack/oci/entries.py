"""One entry of a layer's tar: a file, a directory, a link, or a mark that removes one below.

Source: image-spec, layer.md. Engines take a path from the root of the image, with or without a
slash before it; what climbs out of a folder by ".." is refused here.
"""

from __future__ import annotations

import math
import stat
import tarfile
from dataclasses import dataclass
from typing import Literal, get_args

from modelpack.errors import UsageError
from modelpack.oci import limits

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
    """`path`: "opt/venv/bin/python", and "" for the root itself. `mode`: its 12 bits. `size` in
    bytes, of a regular file. `mtime`: seconds since 1970. `target`: of a link; that of a hard link
    is such a path too. `sha256`: of a regular file's content. `capabilities`: whether it has any.
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


def of(member: tarfile.TarInfo) -> Entry:
    """The entry of a member, without its digest.

    Raises:
        UsageError: it is none that an image may have.
    """
    kind = _TYPES.get(member.type)
    if kind is None or member.sparse is not None or not _is_sane(member):
        raise refused(member.name, "is of a kind that no layer has")
    target = member.linkname if kind in {"symlink", "hardlink"} else ""
    if not _fits(target):
        raise refused(member.name, "points to a path that no file can have")
    return Entry(
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
    """The name of a member as a path from the root, without a slash before or behind.

    Raises:
        UsageError: it leaves its folder, or no file can have it.
    """
    names = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in names:
        raise refused(name, "leaves its folder")
    if not _fits(name) or any(len(part.encode(*_BYTES)) > limits.NAME for part in names):
        raise refused(name, "has a name that no file can have")
    return "/".join(names)


_BYTES = ("utf-8", "surrogateescape")


def _is_sane(member: tarfile.TarInfo) -> bool:
    return member.size >= 0 and math.isfinite(member.mtime)


def _fits(name: str) -> bool:
    return "\0" not in name and len(name.encode(*_BYTES)) <= limits.PATH


def refused(name: str, why: str) -> UsageError:
    return UsageError(
        f"A layer of the image cannot be trusted: its entry {name[:200]!r} {why}.",
        hint="Get the image from whoever made it once more, or build it anew.",
    )
