"""A zip archive as a stream: each member once, from front to back.

Format: APPNOTE.TXT 6.3 of PKWARE. A zip says everything twice, in the header of each member and in
the directory at its end, and programs differ over which to believe. Here both must agree, and all
must be as Python's zipfile writes it: members one after the other, no byte before, between or after
them, nothing encrypted, no comment. What zipfile then reads is what was read here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .. import limits, quota
from ..nodes import Malformed
from ..reader import Reader
from ..source import CHUNK
from .headers import DEFLATED, ENTRY, MEMBER, Member, broken, check_end, entry, header


@dataclass
class Budget:
    """What has been inflated so far, of an archive of `size` bytes and of those inside it."""

    size: int
    inflated: int = 0

    def spend(self, count: int) -> None:
        self.inflated += count
        quota.OWN.add(count)
        most = min(limits.STREAM_BYTES, limits.STREAM_RATIO * self.size)
        if self.inflated > max(limits.STREAM_FLOOR, most):
            message = f"the compressed data grows more than {limits.STREAM_RATIO} times its size"
            raise Malformed("decompression-bomb", message)


def members(reader: Reader, budget: Budget) -> Iterator[tuple[Member, Reader]]:
    """Each member of the archive that begins at the reader's position, with the reader of its
    content, which is good until the next.

    Raises:
        Malformed: it is no archive as zipfile writes it, or is beyond the limits.
    """
    start = reader.offset
    found: dict[str, Member] = {}
    while (signature := reader.take(4)) == MEMBER:
        member = header(reader, start)
        if member.name in found:
            raise broken(f"it has two members named {member.name}")
        found[member.name] = member
        if len(found) > limits.MEMBERS:
            raise Malformed("limit", f"the archive has more than {limits.MEMBERS:,} members")
        body = Reader(_content(member, reader, budget))
        body.kept = reader.kept
        yield member, body
        while not body.at_end():  # its checksum is known at its end
            body.position = len(body.buffer)
        reader.kept = body.kept
    _directory(reader, signature, list(found.values()), start)


def _content(member: Member, reader: Reader, budget: Budget) -> Iterator[bytes]:
    """The bytes of a member, decompressed and checked."""
    size = crc = 0
    packed = _packed(member.compressed, reader)
    for chunk in _inflated(packed) if member.method == DEFLATED else packed:
        size += len(chunk)
        if size > member.size:
            break
        budget.spend(len(chunk))
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if (size, crc) != (member.size, member.crc):
        raise broken(f"the size or checksum of {member.name} is wrong")


def _packed(count: int, reader: Reader) -> Iterator[bytes]:
    while count:
        if reader.at_end():
            raise reader.cut()
        chunk = reader.buffer[reader.position : reader.position + count]
        reader.position += len(chunk)
        count -= len(chunk)
        yield chunk


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    codec = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for data in packed:
            rest = data
            while rest and not codec.eof:
                if chunk := codec.decompress(rest, CHUNK):
                    yield chunk
                rest = codec.unconsumed_tail
            if codec.unused_data:
                raise broken("bytes follow the end of a compressed member")
        while not codec.eof and (chunk := codec.decompress(codec.unconsumed_tail, CHUNK)):
            yield chunk
    except zlib.error as error:
        raise broken(f"a compressed member cannot be decompressed ({error})") from error
    if not codec.eof or next(packed, b""):
        raise broken("a compressed member has no end, or bytes after it")


def _directory(reader: Reader, signature: bytes, found: list[Member], start: int) -> None:
    """The directory at the end, which must repeat the headers and end the file."""
    first = reader.offset - 4 - start
    for member in found:
        if signature != ENTRY or entry(reader) != member:
            raise broken(f"its directory contradicts the header of {member.name}")
        signature = reader.take(4)
    check_end(reader, signature, (len(found), reader.offset - 4 - start - first, first))
