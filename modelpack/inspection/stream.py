"""A model file as a bounded, decompressed, hashed stream.

The container is recognised by content, never by the file name. Magic numbers are those that joblib
looks for: RFC 1950 (zlib), RFC 1952 (gzip), the bzip2, xz, lzma-alone and LZ4 frame formats.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from . import limits
from .nodes import Blob, Malformed

CHUNK = 256 * limits.KIB

_MAGIC: dict[str, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "lzma": re.compile(rb"\x5d\x00\x00"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
}


class HashingFile:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._hash.update(data)
        self.size += len(data)
        limits.OWN.add(len(data))
        if self.size > limits.FILE_BYTES:
            raise Malformed("too-large", "the file is larger than 16 GiB")
        return data

    def finish(self) -> str:
        """Read the rest of the file, and return the SHA-256 of the whole file in hexadecimal."""
        while self.read(limits.MIB):
            pass
        return self._hash.hexdigest()


def container(head: bytes) -> str:
    """Return the compression by the first bytes: raw, zlib, gzip, bz2, xz, lzma or lz4."""
    if len(head) > 1 and head[0] == 0x78 and not int.from_bytes(head[:2], "big") % 31:
        return "zlib"
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), "raw")


def chunks(name: str, head: bytes, source: HashingFile) -> Iterator[bytes]:
    """Yield the decompressed bytes of container `name`, which consists of `head` and `source`.

    Raises:
        Malformed: It is truncated or invalid, too large, or followed by more bytes.
    """
    if name != "raw":
        yield from _inflate(_CODECS[name](), head, source)
        return
    while head:
        yield head
        head = source.read(CHUNK)


def _inflate(codec: Any, data: bytes, source: HashingFile) -> Iterator[bytes]:
    total = 0
    while not codec.eof:
        try:
            out = codec.decompress(data, CHUNK)
        except (OSError, RuntimeError, lzma.LZMAError, zlib.error) as error:
            message = f"the compressed data is invalid ({error})"
            raise Malformed("broken-container", message) from error
        total += len(out)
        check_inflated(total, source.size)
        limits.OWN.add(len(out))
        if out:
            yield out
        data = source.read(CHUNK) if codec.needs_input and not codec.eof else b""
        if not data and not out and not codec.eof:
            raise Malformed("truncated", "the compressed data ends too early")
    if codec.unused_data or source.read(1):
        raise Malformed("trailing-data", "bytes follow the end of the compressed data")


def check_inflated(inflated: int, size: int) -> None:
    """Raise `Malformed` if `size` bytes were decompressed to more than the limit."""
    if inflated > max(limits.STREAM_FLOOR, min(limits.STREAM_BYTES, limits.STREAM_RATIO * size)):
        message = f"the compressed data grows more than {limits.STREAM_RATIO} times its size"
        raise Malformed("decompression-bomb", message)


class _Zlib:
    """A zlib decompressor with the interface of the decompressors of bz2 and lzma."""

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


MAX_FIXED_SIZE = 16
"""No opcode with an argument of fixed size has more bytes."""

_MODELS = (b"tree\n", b"CBM1", b"{L\0\0\0\0\0\0\0\6Config", b'{"Config"', b"CONFIG-offset:")
"""First bytes of models that LightGBM, CatBoost and XGBoost save as one value."""


class Reader:
    """A buffered stream of opcodes.

    Call `boundary` before reading an opcode at `check` or later. A frame (PEP 3154) ends with an
    opcode; no opcode crosses its end.

    Attributes:
        position: Index of the next byte in `buffer`.
        base: Offset of `buffer[0]` in the stream.
        kept: Total bytes of the values that were kept.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ended = False
        self.kept = 0
        self.buffer = b""
        self.position = 0
        self.base = 0
        self.check = 0
        self.frame_end: int | None = None

    @property
    def offset(self) -> int:
        return self.base + self.position

    def refill(self, count: int = MAX_FIXED_SIZE) -> None:
        """Drop the bytes that were read, and buffer `count` bytes unless the stream ends."""
        rest = self.buffer[self.position :]
        parts, have = [rest] if rest else [], len(rest)  # join does not copy a single chunk
        self.base += self.position
        self.position = 0
        while have < count and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._ended = have < count
        self.buffer = b"".join(parts)
        self._set_check()

    def rest(self) -> Iterator[bytes]:
        """Yield the bytes that were not read yet, for files that are not pickles."""
        yield self.buffer[self.position :]
        yield from self._chunks

    def boundary(self) -> None:
        """Close a frame that ends here, and buffer the next opcode."""
        self.end_frame()
        if len(self.buffer) - self.position < MAX_FIXED_SIZE:
            self.refill()
        self._set_check()

    def open_frame(self, length: int) -> None:
        if self.frame_end is not None:
            raise Malformed("nested-frame", "a frame begins inside a frame")
        self.frame_end = self.offset + length
        self._set_check()

    def end_frame(self) -> None:
        if self.frame_end is not None and self.offset >= self.frame_end:
            if self.offset > self.frame_end:
                raise Malformed("broken-frame", "a value crosses the end of its frame")
            self.frame_end = None

    def _set_check(self) -> None:
        self.check = len(self.buffer) - (0 if self._ended else MAX_FIXED_SIZE)
        if self.frame_end is not None:
            self.check = min(self.check, self.frame_end - self.base)

    def at_end(self) -> bool:
        if self.position == len(self.buffer):
            self.refill(1)
        return self.position == len(self.buffer)

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.buffer):
            self.refill(count)
            end = count
            if end > len(self.buffer):
                raise self.cut()
        data = self.buffer[self.position : end]
        self.position = end
        return data

    def line(self, max_length: int = limits.LINE_BYTES) -> bytes:
        """Return the argument of a text opcode, without its newline."""
        while (end := self.buffer.find(b"\n", self.position)) < 0:
            have = len(self.buffer) - self.position
            if self._ended:
                raise self.cut()
            if have > max_length:
                break
            self.refill(2 * have + MAX_FIXED_SIZE)
        if end < 0 or end - self.position > max_length:
            raise Malformed("limit", f"a line of text is longer than {max_length:,} bytes")
        data = self.buffer[self.position : end]
        self.position = end + 1
        return data

    def keep(self, count: int) -> None:
        """Count bytes of a value that has no `Blob`.

        Raises:
            Malformed: The file has more of them than may be kept.
        """
        self.kept += count
        if self.kept > limits.KEPT_TOTAL:
            message = f"its lines of text have more than {limits.KEPT_TOTAL:,} bytes together"
            raise Malformed("limit", message)

    def value(self, count: int) -> bytes | Blob:
        """Return the next `count` bytes, or a `Blob` if they are too many to keep."""
        if count <= limits.SMALL_BYTES:
            return self.take(count)
        is_model = self._begins_with(_MODELS)
        maximum = limits.MODEL_BYTES if is_model else limits.KEPT_BYTES
        if count <= maximum and self.kept + count <= limits.KEPT_TOTAL:
            self.kept += count
            return self.take(count)
        offset, size = self.offset, limits.HEAD_BYTES
        if is_model and self.kept + limits.MODEL_HEAD_BYTES <= limits.KEPT_TOTAL:
            size = min(count, limits.MODEL_HEAD_BYTES)
            self.kept += size
        head = self.take(size)
        self._skip(count - len(head))
        return Blob(offset, count, head)

    def _begins_with(self, marks: tuple[bytes, ...]) -> bool:
        longest = max(map(len, marks))
        if len(self.buffer) - self.position < longest:
            self.refill(longest)
        return self.buffer.startswith(marks, self.position)

    def _skip(self, count: int) -> None:
        while count:
            step = min(count, len(self.buffer) - self.position)
            self.position += step
            count -= step
            if count and self.at_end():
                raise self.cut()

    def cut(self) -> Malformed:
        message = "the file is truncated: it ends in the middle of a value"
        return Malformed("truncated", message, offset=self.base + len(self.buffer))
