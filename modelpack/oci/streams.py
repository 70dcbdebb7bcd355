"""Bounded, hashed and decompressed layer streams."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from modelpack.errors import UsageError

_CHUNK = 2**18
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@contextmanager
def decompress(stream: Readable) -> Iterator[IO[bytes]]:
    """Decompress a tar that may be compressed by gzip or zstd.

    The first bytes decide, as in engines, and not the media type.

    Raises:
        UsageError: This Python has no zstd.
    """
    start = _exactly(stream, 4)
    whole = io.BufferedReader(_Joined(start, stream), _CHUNK)
    if start.startswith(_GZIP):
        with gzip.GzipFile(fileobj=whole, mode="rb") as plain:
            yield plain  # type: ignore[misc]  # not an IO in typeshed
    elif start == _ZSTD:
        with _zstd(whole) as plain:
            yield plain
    else:
        yield whole


def _zstd(stream: IO[bytes]) -> IO[bytes]:
    try:
        from compression import zstd  # noqa: PLC0415  # of Python 3.14
    except ImportError as error:
        raise UsageError(
            "A layer of the image is compressed by zstd, which this Python cannot read.",
            hint="Use Python 3.14, or: skopeo copy --dest-compress-format gzip FROM oci:DIR",
        ) from error
    plain: IO[bytes] = zstd.open(stream)
    return plain


class CountingReader:
    """Counts the bytes of a stream of at most `limit` bytes, which is read once."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._position = 0
        self.last = b""  # the bytes of the last read

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes, or raise UsageError beyond the limit and if the stream is damaged."""
        try:
            data = _exactly(self._stream, size) if size >= 0 else self._stream.read()
        except (EOFError, OSError, zlib.error) as error:
            raise damaged_layer(str(error)) from error
        self.last = data
        self._position += len(data)
        if self._position > self._limit:
            raise damaged_layer(f"it has more than {self._limit} bytes")
        return data

    def seek(self, position: int) -> int:
        while self._position < position:
            if not self.read(min(_CHUNK, position - self._position)):
                break
        return self._position

    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the rest."""
        return iter(lambda: self.read(_CHUNK), b"")


class HashingReader(CountingReader):
    """Also hashes the stream, while `tarfile` or something else reads it."""

    def __init__(self, stream: Readable, limit: int) -> None:
        super().__init__(stream, limit)
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = -1, /) -> bytes:
        data = super().read(size)
        self._hash.update(data)
        return data


class _Joined(io.RawIOBase):
    """The bytes `start`, followed by the stream `rest`."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._start[: len(buffer)] or self._rest.read(len(buffer))
        self._start = self._start[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class Section(io.RawIOBase):
    """The next `left` bytes of a stream. It raises UsageError if the stream ends before."""

    def __init__(self, stream: Readable, left: int) -> None:
        self._stream = stream
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        if self._left and len(buffer) and not data:
            raise damaged_layer(f"it ends {self._left} bytes too early")
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def _exactly(stream: Readable, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end: one read of a socket may return less."""
    data = stream.read(size)
    while 0 < len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def damaged_layer(why: str) -> UsageError:
    return UsageError(f"A layer of the image is damaged: {why}.", hint="Get the image again.")


# The largest real images have some hundred thousand files and 20 GB. With these limits, a hostile
# one takes minutes and 1 GB of memory at most.
DOCUMENT = 8 * 2**20  # bytes of a manifest, an index or a configuration
LAYERS = 1000
LAYER = 20 * 2**30  # bytes of a layer, uncompressed
MEMBERS = 500_000  # in a layer
PATHS = 64 * 2**20  # bytes of all their paths and targets
EXTENSION = 2**20  # bytes of the header of a member: long names, extended attributes
PATH = 4096  # bytes, as in Linux
NAME = 255
TREE = 1_000_000  # files and folders in `/`
