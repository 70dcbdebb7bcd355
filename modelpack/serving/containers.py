"""Compressed model files as streams, with the standard library alone."""

from __future__ import annotations

import io
import zlib
from importlib import import_module
from typing import Any, BinaryIO

MODULES = {"gzip": "gzip", "bz2": "bz2", "xz": "lzma", "lzma": "lzma", "lz4": "lz4.frame"}

CHUNK = 2**18


def decompress(stream: BinaryIO, container: str) -> Any:
    """Return the decompressed `stream`, which need not be closed.

    Raises:
        ImportError: The library of this container is not installed.
    """
    if container in {"raw", "zip"}:  # the loader of the format reads the members of an archive
        return stream
    if container == "zlib":
        return io.BufferedReader(_Zlib(stream), CHUNK)
    return import_module(MODULES[container]).open(stream)


class _Zlib(io.RawIOBase):
    """A file object for zlib, which has none."""

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
