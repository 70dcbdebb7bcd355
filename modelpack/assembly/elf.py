"""Which shared libraries a program or library needs, as its own headers say: without running it.

Source: System V Application Binary Interface, edition 4.1, chapters 4 and 5. Of 64 bits and
little-endian, as the processors are that there are images for.
"""

from __future__ import annotations

import os
import struct
from typing import Iterator, NamedTuple

_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _NAMES, _RPATH, _RUNPATH = 1, 5, 15, 29


class Needs(NamedTuple):
    """`libraries`: names such as "libc.so.6". `folders`: where to look first, with $ORIGIN.
    `loader`: the path of a program's loader, "" for a library.
    """

    libraries: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    loader: str = ""


def needs(path: str) -> Needs | None:
    """None where the file is none of these."""
    with open(path, "rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            return None
        file.seek(0)
        return _read(file.read())


def _read(content: bytes) -> Needs:
    segments = list(_segments(content))
    loads = [segment[1:] for segment in segments if segment[0] == _LOAD]
    loader, entries = "", []
    for kind, start, _, size in segments:
        if kind == _INTERPRETER:
            loader = _text(content, start)
        elif kind == _DYNAMIC:
            entries = list(struct.iter_unpack("<QQ", content[start : start + size // 16 * 16]))
    names = next((_offset(value, loads) for tag, value in entries if tag == _NAMES), 0)
    found = {
        wanted: tuple(_text(content, names + value) for tag, value in entries if tag == wanted)
        for wanted in (_NEEDED, _RPATH, _RUNPATH)
    }
    folders = ":".join(found[_RUNPATH] or found[_RPATH])
    return Needs(found[_NEEDED], tuple(filter(None, folders.split(":"))), loader)


def _segments(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset, address and size of each."""
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from(
            "<IIQQQQ", content, table + number * size
        )
        yield kind, offset, address, length


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int:
    for offset, start, size in loads:
        if start <= address < start + size:
            return address - start + offset
    return 0


def _text(content: bytes, start: int) -> str:
    return os.fsdecode(content[start : content.index(b"\0", start)])
