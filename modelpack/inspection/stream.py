"""A model file as a bounded, decompressed, hashed stream.

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
    """Reads a file and hashes each byte of it on the way."""

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
        """The sha256 of the whole file, as hexadecimal digits; reads what was not read yet."""
        while self.read(limits.MIB):
            pass
        return self._hash.hexdigest()


def container(head: bytes) -> str:
    """What wraps the pickle, told from the first bytes: raw, zlib, gzip, bz2, xz, lzma or lz4."""
    if len(head) > 1 and head[0] == 0x78 and not int.from_bytes(head[:2], "big") % 31:
        return "zlib"
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), "raw")


def chunks(name: str, head: bytes, source: HashingFile) -> Iterator[bytes]:
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


def _inflate(codec: Any, data: bytes, source: HashingFile) -> Iterator[bytes]:
    total = 0
    while not codec.eof:
        try:
            out = codec.decompress(data, CHUNK)
        except (OSError, RuntimeError, lzma.LZMAError, zlib.error) as error:
            raise Malformed("broken-container", f"the compression is broken ({error})") from error
        total += len(out)
        _check_size(total, source.size)
        limits.OWN.add(len(out))
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


MAX_FIXED_SIZE = 16
"""More bytes than any opcode takes with an argument of fixed size."""

_MODELS = (b"tree\n", b"CBM1", b"{L\0\0\0\0\0\0\0\6Config", b'{"Config"', b"CONFIG-offset:")
"""How LightGBM, CatBoost and XGBoost begin what they save as one value."""


class Reader:
    """`buffer[position]` is the next byte of the stream, `base` the offset of `buffer[0]`.

    Before an opcode is read at `check` or beyond, `boundary` has to be asked. A frame (PEP 3154) is
    closed where an opcode ends at its end; no opcode reaches over it.
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
        """Drop what was read, and read on until `count` bytes are at hand or the stream ends."""
        rest = self.buffer[self.position :]
        parts, have = [rest] if rest else [], len(rest)  # alone, a chunk is not copied
        self.base += self.position
        self.position = 0
        while have < count and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        self._ended = have < count
        self.buffer = b"".join(parts)
        self._set_check()

    def rest(self) -> Iterator[bytes]:
        """All that was not read yet, for what is no pickle."""
        yield self.buffer[self.position :]
        yield from self._chunks

    def boundary(self) -> None:
        """Between two opcodes: close the frame that ends here, and have the next opcode at hand."""
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
                raise Malformed("broken-frame", "a value reaches over the end of its frame")
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

    def line(self, longest: int = limits.LINE_BYTES) -> bytes:
        """The argument of a text opcode, without its newline."""
        while (end := self.buffer.find(b"\n", self.position)) < 0:
            have = len(self.buffer) - self.position
            if self._ended:
                raise self.cut()
            if have > longest:
                break
            self.refill(2 * have + MAX_FIXED_SIZE)
        if end < 0 or end - self.position > longest:
            raise Malformed("limit", f"a line of text is longer than {longest:,} bytes")
        data = self.buffer[self.position : end]
        self.position = end + 1
        return data

    def value(self, count: int) -> bytes | Blob:
        """The next `count` bytes; only their head where they are too many to be kept."""
        if count <= limits.SMALL_BYTES:
            return self.take(count)
        is_model = self._begins_with(_MODELS)
        most = limits.MODEL_BYTES if is_model else limits.KEPT_BYTES
        if count <= most and self.kept + count <= limits.KEPT_TOTAL:
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
        message = "the file ends in the middle of a value: it was cut short"
        return Malformed("truncated", message, offset=self.base + len(self.buffer))
