"""Reads the tar of a layer from start to end, strictly: what engines could read otherwise, or what
would fill the memory, is refused.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, cast

from modelpack.oci import entries, limits
from modelpack.oci.entries import Entry
from modelpack.oci.streams import Measured, Section, damaged

Content = Section


def members(stream: Measured) -> Iterator[tuple[Entry, Content | None]]:
    """The entries in their order, with the content of a regular file, to be read before the next
    one is asked for. At the end, all of the stream has gone by.

    Raises:
        UsageError: it is no tar, or none that a layer may be.
    """
    try:
        yield from _members(stream)
    except tarfile.TarError as error:
        raise damaged(str(error)) from error
    except RecursionError as error:
        raise damaged("one of its entries has too many headers") from error
    if any(stream.last) or any(any(chunk) for chunk in stream.chunks()):
        raise damaged("something follows its end")


def _members(stream: Measured) -> Iterator[tuple[Entry, Content | None]]:
    file = cast("IO[bytes]", stream)
    with tarfile.open(fileobj=file, mode="r:", tarinfo=_Bounded, errors="surrogateescape") as tar:
        paths = 0
        for _ in range(limits.MEMBERS):
            member = tar.next()
            if member is None:
                return
            paths += len(member.name) + len(member.linkname)
            if paths > limits.PATHS:
                raise damaged(f"the paths in it have more than {limits.PATHS} bytes")
            tar.members = []  # type: ignore[attr-defined]  # which else holds them all
            yield entries.of(member), Section(stream, member.size) if member.isreg() else None
    raise damaged(f"it has more than {limits.MEMBERS} entries")


class _Bounded(tarfile.TarInfo):
    """Reads no header into memory that is longer than any that means something."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.XGLTYPE:
            raise damaged("it has headers for all its entries, which engines pass over")
        if not self.isreg() and self.type not in _WITHOUT_CONTENT and self.size > limits.EXTENSION:
            raise damaged(f"the header of one of its entries has {self.size} bytes")
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
