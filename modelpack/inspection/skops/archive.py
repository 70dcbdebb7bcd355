"""A zip archive as a stream: each member once, from front to back.

Format: APPNOTE.TXT 6.3 of PKWARE. A zip says everything twice, in the header of each member and in
the directory at its end, and programs differ over which to believe. Here both must agree, and all
must be as Python's zipfile writes it: members one after the other, no byte before, between or after
them, nothing encrypted, no comment. What zipfile then reads is what was read here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .. import limits
from ..nodes import Malformed
from ..reader import Reader
from ..source import CHUNK

_MEMBER, _ENTRY, _END, _END64, _LOCATOR = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"
_HEADER = struct.Struct("<5H3I2H")
_DIRECTORY = struct.Struct("<6H3I5H2I")
_TRAILER = struct.Struct("<4H2IH")
_TRAILER64 = struct.Struct("<Q2H2I4Q4sIQI")  # with the locator that follows it
_SIZES64 = struct.Struct("<HHQQ")
_FULL16, _FULL32 = 2**16 - 1, 2**32 - 1  # stand for a number that is in a zip64 field
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,64}\.[a-z]{3,4}")
_STORED, _DEFLATED = 0, 8
_REGULAR = 8  # the type of a plain file, in the upper four bits of a mode of Unix


@dataclass(frozen=True, slots=True)
class Member:
    """What header and directory say of a member: sizes in bytes, `offset` that of its header."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


@dataclass
class Budget:
    """What has been inflated so far, of an archive and of those inside it."""

    file: Reader
    inflated: int = 0

    def spend(self, count: int) -> None:
        self.inflated += count
        most = min(limits.STREAM_BYTES, limits.STREAM_RATIO * self.file.offset)
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
    while (signature := reader.take(4)) == _MEMBER:
        member = _header(reader, start)
        if member.name in found:
            raise broken(f"it has two members named {member.name}")
        found[member.name] = member
        if len(found) > limits.MEMBERS:
            raise Malformed("limit", f"the archive has more than {limits.MEMBERS:,} members")
        body = Reader(_content(member, reader, budget))
        body.base = reader.offset  # of a stored member, offsets are those in the archive
        body.kept = reader.kept
        yield member, body
        while not body.at_end():  # its checksum is known at its end
            body.position = len(body.buffer)
        reader.kept = body.kept
    _directory(reader, signature, list(found.values()), start)


def broken(why: str) -> Malformed:
    return Malformed("broken-zip", f"the zip archive is not as zipfile writes it: {why}")


def _header(reader: Reader, start: int) -> Member:
    offset = reader.offset - 4 - start
    _, flags, method, _, _, crc, compressed, size, length, extra = _HEADER.unpack(
        reader.take(_HEADER.size)
    )
    name = _name(reader.take(length))
    _check_kind(name, flags, method)
    field = reader.take(extra)
    if field:
        if len(field) != _SIZES64.size or field[:4] != b"\1\0\x10\0":
            raise broken(f"the header of {name} has an unknown field")
        wide, told = _SIZES64.unpack(field)[:1:-1], (compressed, size)
        if told not in (wide, (_FULL32, _FULL32)):
            raise broken(f"the header of {name} tells two sizes")
        compressed, size = wide
    return Member(name, method, crc, compressed, size, offset)


def _name(data: bytes) -> str:
    if not _NAME.fullmatch(data):
        raise broken(f"it has a member named {data[:80].decode('latin-1')!a}")
    return data.decode("ascii")


def _check_kind(name: str, flags: int, method: int) -> None:
    if flags & 1:
        raise broken(f"{name} is encrypted")
    if flags:
        raise broken(f"{name} has flags {flags:#x}")
    if method not in (_STORED, _DEFLATED):
        raise broken(f"{name} is compressed by method {method}, neither stored nor deflated")


def _content(member: Member, reader: Reader, budget: Budget) -> Iterator[bytes]:
    """The bytes of a member, decompressed and checked."""
    size = crc = 0
    packed = _packed(member.compressed, reader)
    for chunk in _inflated(packed) if member.method == _DEFLATED else packed:
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
        if signature != _ENTRY or _entry(reader) != member:
            raise broken(f"its directory contradicts the header of {member.name}")
        signature = reader.take(4)
    size = reader.offset - 4 - start - first
    numbers = (len(found), len(found), size, first)
    if signature == _END64:
        _check_trailer64(reader, numbers, first + size)
        count, length = min(len(found), _FULL16), min(size, _FULL32)
        numbers = (count, count, length, min(first, _FULL32))
        signature = reader.take(4)
    if signature != _END or _TRAILER.unpack(reader.take(_TRAILER.size)) != (0, 0, *numbers, 0):
        raise broken("its end contradicts its directory")
    if not reader.at_end():
        raise Malformed("trailing-data", "bytes follow the end of the zip archive")


def _entry(reader: Reader) -> Member:
    numbers = _DIRECTORY.unpack(reader.take(_DIRECTORY.size))
    _, _, flags, method, _, _, crc, compressed, size = numbers[:9]
    length, extra, comment, disk, _, mode, offset = numbers[9:]
    name = _name(reader.take(length))
    _check_kind(name, flags, method)
    if comment or disk:
        raise broken(f"the directory has a comment, or another disk, for {name}")
    if mode >> 28 not in (0, _REGULAR):
        raise broken(f"{name} is a link or another special file")
    size, compressed, offset = _wide((size, compressed, offset), reader.take(extra), name)
    return Member(name, method, crc, compressed, size, offset)


def _wide(numbers: tuple[int, ...], field: bytes, name: str) -> tuple[int, ...]:
    """The numbers of a directory's entry, with those that only its zip64 field can hold."""
    count = numbers.count(_FULL32)
    head = struct.pack("<HH", 1, 8 * count) if count else b""
    if len(field) != len(head) + 8 * count or not field.startswith(head):
        raise broken(f"the directory has an unknown field for {name}")
    values = iter(struct.unpack(f"<{count}Q", field[len(head) :]))
    return tuple(next(values) if number == _FULL32 else number for number in numbers)


def _check_trailer64(reader: Reader, numbers: tuple[int, ...], offset: int) -> None:
    told = _TRAILER64.unpack(reader.take(_TRAILER64.size))
    rest = _TRAILER64.size - 8 - 20
    if told[0] != rest or told[3:] != (0, 0, *numbers, _LOCATOR, 0, offset, 1):
        raise broken("its zip64 end contradicts its directory")
