"""Headers of programs and shared libraries in the ELF format, read without running them.

Source: System V Application Binary Interface, edition 4.1, chapters 4 and 5, and elf(5). Files have
64 bits and are little-endian, as on all platforms of images. The build and the packager use it.
"""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple, Tuple

HEADER = 64
"""Bytes from the start of a file that `platform` reads."""

_MAGIC = b"\x7fELF\x02\x01"
_MACHINES = {62: "linux/amd64", 183: "linux/arm64"}  # e_machine
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3  # p_type
_END, _NEEDED, _NAMES, _RPATH, _RUNPATH = 0, 1, 5, 15, 29  # d_tag

_Segment = Tuple[int, int, int, int]
"""Type, offset in the file, address and size in the file."""


class ElfFile(NamedTuple):
    """The dependencies of a program or a shared library.

    Attributes:
        libraries: Names such as "libc.so.6".
        folders: Searched first; may contain $ORIGIN.
        loader: The path of the loader of a program, "" for a library or a static program.
    """

    libraries: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    loader: str = ""


def is_elf(content: bytes) -> bool:
    return content[:4] == _MAGIC[:4]


def platform(content: bytes) -> str:
    """Return Docker's name of the platform of a file, or "" for another file or platform."""
    if len(content) < HEADER or not content.startswith(_MAGIC):
        return ""
    return _MACHINES.get(struct.unpack_from("<H", content, 18)[0], "")


def read_elf(path: str) -> ElfFile | None:
    """Read a file; None if it has another format. Raise ValueError if the file is damaged."""
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
        file.seek(0)
        return parse(file.read())


def parse(content: bytes) -> ElfFile:
    """Read the content of a file in the ELF format. Raise ValueError if it is damaged."""
    try:
        return _parse(content)
    except struct.error as error:
        raise ValueError("a header leads outside of the file") from error


def _parse(content: bytes) -> ElfFile:
    segments = list(_segments(content))
    loader = ""
    entries: list[tuple[int, int]] = []
    for kind, start, _, size in segments:
        if kind == _INTERPRETER:
            loader = _text(content, start)
        elif kind == _DYNAMIC:
            entries = list(_dynamic(content, start, size))
    has_libraries = {tag for tag, _ in entries} & {_NEEDED, _RPATH, _RUNPATH}
    names = next((value for tag, value in entries if tag == _NAMES), None)
    if names is None or not has_libraries:
        return ElfFile(loader=loader)
    start = _offset(segments, names)
    found = {
        tag: tuple(_text(content, start + value) for each, value in entries if each == tag)
        for tag in (_NEEDED, _RPATH, _RUNPATH)
    }
    folders = ":".join(found[_RUNPATH] or found[_RPATH])
    return ElfFile(found[_NEEDED], tuple(filter(None, folders.split(":"))), loader)


def _segments(content: bytes) -> Iterator[_Segment]:
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from(
            "<IIQQQQ", content, table + number * size
        )
        yield kind, offset, address, length


def _dynamic(content: bytes, start: int, size: int) -> Iterator[tuple[int, int]]:
    for position in range(start, start + size, 16):
        tag, value = struct.unpack_from("<QQ", content, position)
        if tag == _END:
            return
        yield tag, value


def _offset(segments: list[_Segment], address: int) -> int:
    for kind, offset, start, size in segments:
        if kind == _LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError("the names lie outside of the file")


def _text(content: bytes, start: int) -> str:
    end = content.find(b"\0", start)
    if end < 0:
        raise ValueError("a name does not end")
    return content[start:end].decode("utf-8", "replace")
