"""A second pass over parts of a file, through the same descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from .. import skops, stream
from ..nodes import Malformed
from ..stream import Reader
from .scan import PIECE

Part = tuple[int, int]
"""Offset and length in the decompressed stream."""


class _RereadFile(stream.HashingFile):
    """A file read from its beginning at any position of its descriptor, without hashing."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._descriptor = file.fileno()

    def read(self, count: int) -> bytes:
        data = os.pread(self._descriptor, count, self.size)
        self.size += len(data)
        return data


def reread_parts(file: BinaryIO, container: str, parts: list[Part]) -> Iterator[tuple[Part, bytes]]:
    """Yield parts that are sorted and do not overlap, in pieces.

    Raises:
        Malformed: The file ends before a part.
    """
    if container != "raw":
        yield from _parts_of_stream(_chunks(file, container), parts)
        return
    for offset, length in parts:
        for start in range(offset, offset + length, PIECE):
            piece = os.pread(file.fileno(), min(PIECE, offset + length - start), start)
            yield (offset, length), _require_data(piece)


def _chunks(file: BinaryIO, container: str) -> Iterator[bytes]:
    again = _RereadFile(file)
    head = again.read(stream.CHUNK)
    if container != "zip":
        return stream.chunks(container, head, again)
    size = os.fstat(file.fileno()).st_size
    return skops.contents(Reader(stream.chunks("raw", head, again)), size)


def _parts_of_stream(chunks: Iterator[bytes], parts: list[Part]) -> Iterator[tuple[Part, bytes]]:
    base, chunk = 0, b""
    for offset, length in parts:
        position, end = offset, offset + length
        while position < end:
            while base + len(chunk) <= position:
                base += len(chunk)
                chunk = _require_data(next(chunks, b""))
            piece = chunk[position - base : end - base]
            position += len(piece)
            yield (offset, length), piece


def _require_data(piece: bytes) -> bytes:
    if not piece:
        raise Malformed("truncated", "the file is shorter than it was when it was first read")
    return piece
