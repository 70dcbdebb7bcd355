"""What programs and shared libraries say of themselves: for which processor, and what they take.

Source: elf(5). Files of 64 bits in little-endian order, as those of the platforms here are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = 64
"""Bytes from the start of a file that `platform` reads."""

_MAGIC = b"\x7fELF\x02\x01"
_MACHINES = {62: "linux/amd64", 183: "linux/arm64"}  # e_machine
_LOADED, _DYNAMIC, _INTERPRETER = 1, 2, 3  # p_type
_END, _NEEDED, _STRINGS = 0, 1, 5  # d_tag


def is_elf(content: bytes) -> bool:
    return content[:4] == _MAGIC[:4]


def platform(content: bytes) -> str:
    """Docker's name of the platform that a file is for; "" for what is no such file, or another."""
    if len(content) < HEADER or not content.startswith(_MAGIC):
        return ""
    return _MACHINES.get(struct.unpack_from("<H", content, 18)[0], "")


def interpreter(content: bytes) -> str:
    """The dynamic loader that a program names; "" where it is linked statically.

    Raises:
        ValueError: it is damaged.
    """
    for kind, start, _, size in _segments(content):
        if kind == _INTERPRETER:
            return content[start : start + size].rstrip(b"\0").decode("ascii")
    return ""


def needed(content: bytes) -> list[str]:
    """The names of the shared libraries that it is linked to.

    Raises:
        ValueError: it is damaged.
    """
    segments = list(_segments(content))
    table = [s for s in segments if s[0] == _DYNAMIC]
    if not table:
        return []
    found = list(_dynamic(content, table[0][1], table[0][3]))
    addresses = [value for tag, value in found if tag == _STRINGS]
    if not addresses:
        return []
    strings = _offset(segments, addresses[0])
    return [_string(content, strings + value) for tag, value in found if tag == _NEEDED]


def _segments(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, place in the file, address and size in the file of each."""
    try:
        (start,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        for at in range(start, start + size * count, size or 1):
            kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, at)
            yield kind, offset, address, length
    except struct.error as error:
        raise ValueError("its header leads outside of it") from error


def _dynamic(content: bytes, start: int, size: int) -> Iterator[tuple[int, int]]:
    try:
        for at in range(start, start + size, 16):
            tag, value = struct.unpack_from("<QQ", content, at)
            if tag == _END:
                return
            yield tag, value
    except struct.error as error:
        raise ValueError("its table of links leads outside of it") from error


def _offset(segments: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _LOADED and start <= address < start + size:
            return offset + address - start
    raise ValueError("its names lie outside of it")


def _string(content: bytes, at: int) -> str:
    end = content.find(b"\0", at)
    if end < 0:
        raise ValueError("a name does not end")
    return content[at:end].decode("ascii", "replace")
