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
    """What is in `stream`, which is a tar, as such, by gzip or by zstd: told by its first bytes, as
    engines do, whatever its media type.

    Raises:
        UsageError: this Python has no zstd.
    """
    start = _exactly(stream, 4)
    whole = io.BufferedReader(_Joined(start, stream), _CHUNK)
    if start.startswith(_GZIP):
        with gzip.GzipFile(fileobj=whole, mode="rb") as plain:
            yield plain  # type: ignore[misc]  # typeshed has no IO of it
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
    opened: IO[bytes] = zstd.open(stream)
    return opened


class HashingReader:
    """Reads on in `stream`, never back, and keeps the digest of all that has gone by.

    It has what `tarfile` asks of a file that it reads from start to end. `limit`: in bytes.
    """

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._hash = hashlib.sha256()
        self._position = 0
        self.last = b""  # what was read at last

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Raises UsageError beyond the limit, and where the stream is damaged."""
        try:
            data = _exactly(self._stream, size) if size >= 0 else self._stream.read()
        except (EOFError, OSError, zlib.error) as error:
            raise damaged_layer(str(error)) from error
        self.last = data
        self._hash.update(data)
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
        """All that is left."""
        return iter(lambda: self.read(_CHUNK), b"")


class _Joined(io.RawIOBase):
    """`start`, then what is left of `rest`."""

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
    """The next `left` bytes of a stream; UsageError if it ends before."""

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
    """`size` bytes, fewer at the end only; a read of a socket may give less at a time."""
    data = stream.read(size)
    while 0 < len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def damaged_layer(why: str) -> UsageError:
    return UsageError(
        f"A layer of the image is damaged: {why}.",
        hint="Get the image from where it came from once more.",
    )


# The largest images that people build have some hundred thousand files and twenty gigabytes. What
# is here lets a hostile one take minutes and a gigabyte of memory, not more.
DOCUMENT = 8 * 2**20  # bytes of a manifest, an index or a configuration
LAYERS = 1000
LAYER = 20 * 2**30  # bytes of a layer, uncompressed
MEMBERS = 500_000  # of a layer
PATHS = 64 * 2**20  # bytes of all their paths and targets
EXTENSION = 2**20  # bytes of a header of a member: long names, extended attributes
PATH = 4096  # bytes, as Linux has it
NAME = 255
TREE = 1_000_000  # files and folders in `/`
