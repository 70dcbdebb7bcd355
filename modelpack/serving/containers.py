"""Compressed model files as streams, with the standard library alone."""

from __future__ import annotations

import io
import zlib
from importlib import import_module
from typing import Any, BinaryIO

MODULES = {"gzip": "gzip", "bz2": "bz2", "xz": "lzma", "lzma": "lzma", "lz4": "lz4.frame"}

CHUNK = 2**18


def decompress(stream: BinaryIO, container: str) -> Any:
    """What `stream` holds, as a binary stream that need not be closed before `stream`.

    Raises:
        ImportError: the library of this container is not installed.
    """
    if container in {"raw", "zip"}:  # members of an archive are its format's to read
        return stream
    if container == "zlib":
        return io.BufferedReader(_Zlib(stream), CHUNK)
    return import_module(MODULES[container]).open(stream)


class _Zlib(io.RawIOBase):
    """zlib has no file object of its own."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._codec = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._codec.eof:
            compressed = self._codec.unconsumed_tail or self._stream.read(CHUNK)
            data = self._codec.decompress(compressed, len(buffer))
            if not compressed and not data:
                raise EOFError("the compressed data ends too early")
        buffer[: len(data)] = data
        return len(data)
