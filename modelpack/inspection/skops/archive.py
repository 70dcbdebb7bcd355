"""Zip members in order, with every header checked.

Format: APPNOTE.TXT 6.3 of PKWARE. A zip contains all facts twice, in the header of each member and
in the directory at its end, and programs differ in which they use. Here both must agree, and all
must be as Python's zipfile writes it: names of regular files, no byte before, between or after
members, no encryption, no comments, no extra fields but those of zip64. So zipfile reads the same
members.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .. import limits
from ..nodes import Malformed
from ..stream import CHUNK, Reader, check_inflated


@dataclass
class Budget:
    """The bytes decompressed so far, of an archive of `size` bytes and of archives inside it."""

    size: int
    inflated: int = 0

    def spend(self, count: int) -> None:
        self.inflated += count
        limits.OWN.add(count)
        check_inflated(self.inflated, self.size)


def members(reader: Reader, budget: Budget) -> Iterator[tuple[Member, Reader]]:
    """Yield each member of the archive at the reader's position, and a reader of its content.

    The reader is valid until the next member.

    Raises:
        Malformed: zipfile does not write such an archive, or a limit is exceeded.
    """
    start = reader.offset
    by_name: dict[str, Member] = {}
    while (signature := reader.take(4)) == MEMBER:
        member = header(reader, start)
        if member.name in by_name:
            raise malformed_archive(f"it has two members named {member.name}")
        by_name[member.name] = member
        if len(by_name) > limits.MEMBERS:
            raise Malformed("limit", f"the archive has more than {limits.MEMBERS:,} members")
        body = Reader(_content(member, reader, budget))
        body.kept = reader.kept
        yield member, body
        while not body.at_end():  # the checksum is compared at the end
            body.position = len(body.buffer)
        reader.kept = body.kept
    _directory(reader, signature, list(by_name.values()), start)


def _content(member: Member, reader: Reader, budget: Budget) -> Iterator[bytes]:
    """Yield the decompressed bytes of a member, and check its size and checksum."""
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
        raise malformed_archive(f"the size or checksum of {member.name} is wrong")


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
                raise malformed_archive("bytes follow the end of a compressed member")
        while not codec.eof and (chunk := codec.decompress(codec.unconsumed_tail, CHUNK)):
            yield chunk
    except zlib.error as error:
        raise malformed_archive(f"a compressed member cannot be decompressed ({error})") from error
    if not codec.eof or next(packed, b""):
        raise malformed_archive("a compressed member has no end, or bytes after it")


def _directory(reader: Reader, signature: bytes, headers: list[Member], start: int) -> None:
    """Check the directory, which must repeat the headers and end the file."""
    first = reader.offset - 4 - start
    for member in headers:
        if signature != ENTRY or entry(reader) != member:
            raise malformed_archive(f"its directory contradicts the header of {member.name}")
        signature = reader.take(4)
    check_end(reader, signature, (len(headers), reader.offset - 4 - start - first, first))


MEMBER, ENTRY = b"PK\3\4", b"PK\1\2"
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_HEADER = struct.Struct("<5H3I2H")
_DIRECTORY = struct.Struct("<6H3I5H2I")
_TRAILER = struct.Struct("<4H2IH")
_TRAILER64 = struct.Struct("<Q2H2I4Q4sIQI")  # with the locator behind it
_SIZES64 = struct.Struct("<HHQQ")
_FULL16, _FULL32 = 2**16 - 1, 2**32 - 1  # the number is in a zip64 field
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,64}\.[a-z]{3,4}|model\.weights\.h5")
STORED, DEFLATED = 0, 8
_VERSIONS = (20, 45)  # of the format, without and with zip64
_REGULAR = 8  # type of a regular file, in the upper four bits of a Unix mode


@dataclass(frozen=True, slots=True)
class Member:
    """A member in its header and in the directory. Sizes in bytes; `offset` of its header."""

    name: str
    method: int
    crc: int
    compressed: int
    size: int
    offset: int


def malformed_archive(why: str) -> Malformed:
    return Malformed("broken-zip", f"Python's zipfile does not write such an archive: {why}")


def header(reader: Reader, start: int) -> Member:
    """Read the header behind the signature `MEMBER`, in an archive that begins at `start`."""
    offset = reader.offset - 4 - start
    version, flags, method, _, _, crc, compressed, size, length, extra = _HEADER.unpack(
        reader.take(_HEADER.size)
    )
    name = _name(reader.take(length))
    _check_kind(name, version, flags, method)
    field = reader.take(extra)
    if field:
        if len(field) != _SIZES64.size or field[:4] != b"\1\0\x10\0":
            raise malformed_archive(f"the header of {name} has an unknown field")
        wide, narrow = _SIZES64.unpack(field)[:1:-1], (compressed, size)
        if narrow not in (wide, (_FULL32, _FULL32)):
            raise malformed_archive(f"the header of {name} has two different sizes")
        compressed, size = wide
    return Member(name, method, crc, compressed, size, offset)


def _name(data: bytes) -> str:
    if not _NAME.fullmatch(data):
        raise malformed_archive(f"it has a member named {data[:80].decode('latin-1')!a}")
    return data.decode("ascii")


def _check_kind(name: str, version: int, flags: int, method: int) -> None:
    if flags & 1:
        raise malformed_archive(f"{name} is encrypted")
    if flags:
        raise malformed_archive(f"{name} has flags {flags:#x}")
    if version not in _VERSIONS:
        raise malformed_archive(f"{name} needs version {version / 10} of the format")
    if method not in (STORED, DEFLATED):
        raise malformed_archive(
            f"{name} has compression method {method}, neither stored nor deflated"
        )


def entry(reader: Reader) -> Member:
    """Read the entry of the directory behind the signature `ENTRY`."""
    numbers = _DIRECTORY.unpack(reader.take(_DIRECTORY.size))
    _, version, flags, method, _, _, crc, compressed, size = numbers[:9]
    length, extra, comment, disk, _, mode, offset = numbers[9:]
    name = _name(reader.take(length))
    _check_kind(name, version, flags, method)
    if comment or disk:
        raise malformed_archive(f"the directory has a comment, or another disk, for {name}")
    if mode >> 28 not in (0, _REGULAR):
        raise malformed_archive(f"{name} is a link or another special file")
    size, compressed, offset = _wide((size, compressed, offset), reader.take(extra), name)
    return Member(name, method, crc, compressed, size, offset)


def _wide(numbers: tuple[int, ...], field: bytes, name: str) -> tuple[int, ...]:
    """Return the numbers of a directory entry, the large ones from its zip64 field."""
    count = numbers.count(_FULL32)
    head = struct.pack("<HH", 1, 8 * count) if count else b""
    if len(field) != len(head) + 8 * count or not field.startswith(head):
        raise malformed_archive(f"the directory has an unknown field for {name}")
    values = iter(struct.unpack(f"<{count}Q", field[len(head) :]))
    return tuple(next(values) if number == _FULL32 else number for number in numbers)


def check_end(reader: Reader, signature: bytes, numbers: tuple[int, int, int]) -> None:
    """Check the records at the end of an archive.

    Args:
        reader: The archive, behind the signature of the first record.
        signature: That of the first record.
        numbers: Number of members; size and offset of the directory in bytes.

    Raises:
        Malformed: The records have other numbers, or bytes follow them.
    """
    count, size, offset = numbers
    if signature == _END64:
        _check_end64(reader, (count, count, size, offset), offset + size)
        count, size, offset = min(count, _FULL16), min(size, _FULL32), min(offset, _FULL32)
        signature = reader.take(4)
    expected = (0, 0, count, count, size, offset, 0)
    if signature != _END or _TRAILER.unpack(reader.take(_TRAILER.size)) != expected:
        raise malformed_archive("its end contradicts its directory")
    if not reader.at_end():
        raise Malformed("trailing-data", "bytes follow the end of the zip archive")


def _check_end64(reader: Reader, numbers: tuple[int, ...], offset: int) -> None:
    values = _TRAILER64.unpack(reader.take(_TRAILER64.size))
    rest = _TRAILER64.size - 8 - 20
    if values[0] != rest or values[3:] != (0, 0, *numbers, _LOCATOR, 0, offset, 1):
        raise malformed_archive("its zip64 end contradicts its directory")
