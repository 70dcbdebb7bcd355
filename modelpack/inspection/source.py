"""A model file as a stream of decompressed bytes, read once from front to back.

The container is told by its content, never by the name of the file. Magic numbers: RFC 1950 (zlib),
RFC 1952 (gzip), the bzip2, xz, lzma-alone and LZ4 frame formats; they are what joblib looks for.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from . import limits, quota
from .nodes import Malformed

CHUNK = 256 * limits.KIB

_MAGIC: dict[str, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "lzma": re.compile(rb"\x5d\x00\x00"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
}


class Digest:
    """Reads a file and hashes each byte of it on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._hash.update(data)
        self.size += len(data)
        quota.OWN.add(len(data))
        if self.size > limits.FILE_BYTES:
            raise Malformed("too-large", "the file is larger than 16 GiB")
        return data

    def finish(self) -> str:
        """The sha256 of the whole file, as hexadecimal digits; reads what was not read yet."""
        while self.read(limits.MIB):
            pass
        return self._hash.hexdigest()


def container(head: bytes) -> str:
    """What wraps the pickle, told from the first bytes: raw, zlib, gzip, bz2, xz, lzma or lz4."""
    if len(head) > 1 and head[0] == 0x78 and not int.from_bytes(head[:2], "big") % 31:
        return "zlib"
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), "raw")


def chunks(name: str, head: bytes, source: Digest) -> Iterator[bytes]:
    """The bytes of the container `name` that begins with `head` and goes on in `source`.

    Raises:
        Malformed: it is cut or broken, inflates beyond the limits, or more bytes follow its end.
    """
    if name != "raw":
        yield from _inflate(_decompressor(name), head, source)
        return
    while head:
        yield head
        head = source.read(CHUNK)


def _inflate(codec: Any, data: bytes, source: Digest) -> Iterator[bytes]:
    total = 0
    while not codec.eof:
        try:
            out = codec.decompress(data, CHUNK)
        except (OSError, RuntimeError, lzma.LZMAError, zlib.error) as error:
            raise Malformed("broken-container", f"the compression is broken ({error})") from error
        total += len(out)
        _check_size(total, source.size)
        quota.OWN.add(len(out))
        if out:
            yield out
        data = source.read(CHUNK) if codec.needs_input and not codec.eof else b""
        if not data and not out and not codec.eof:
            raise Malformed("truncated", "the compressed data ends too early")
    if codec.unused_data or source.read(1):
        raise Malformed("trailing-data", "bytes follow the end of the compressed data")


def _check_size(inflated: int, size: int) -> None:
    if inflated > max(limits.STREAM_FLOOR, min(limits.STREAM_BYTES, limits.STREAM_RATIO * size)):
        message = f"the compressed data grows more than {limits.STREAM_RATIO} times its size"
        raise Malformed("decompression-bomb", message)


class _Zlib:
    """zlib's decompressor with the interface of those of bz2 and lzma."""

    def __init__(self, window_bits: int) -> None:
        self._codec = zlib.decompressobj(window_bits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._codec.decompress(self._codec.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._codec.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._codec.eof

    @property
    def unused_data(self) -> bytes:
        return self._codec.unused_data


def _lz4() -> Any:
    try:
        import lz4.frame  # noqa: PLC0415 - optional
    except ImportError:
        message = "the file is compressed with lz4, which needs `pip install 'modelpack[lz4]'`"
        raise Malformed("lz4-missing", message) from None
    return lz4.frame.LZ4FrameDecompressor()


_CODECS: dict[str, Callable[[], Any]] = {
    "zlib": lambda: _Zlib(zlib.MAX_WBITS),
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, limits.CODEC_BYTES),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, limits.CODEC_BYTES),
    "lz4": _lz4,
}


def _decompressor(name: str) -> Any:
    return _CODECS[name]()
