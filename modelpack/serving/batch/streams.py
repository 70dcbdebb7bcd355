"""Files and standard streams."""

from __future__ import annotations

import io
import os
import stat
import sys
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Iterator

BUFFER = 2**20


class CountingReader(io.RawIOBase):
    """A file that counts the bytes that are read. `total` is its size, None for a pipe."""

    def __init__(self, descriptor: int, closefd: bool) -> None:
        super().__init__()
        self._raw = io.FileIO(descriptor, "rb", closefd=closefd)
        status = os.fstat(descriptor)
        self.total = status.st_size if stat.S_ISREG(status.st_mode) else None
        self.count = 0
        self._ahead = b""

    def beginning(self) -> bytes:
        """Return the first line, or the first megabyte of it, without consuming it."""
        if self.seekable():
            return os.pread(self._raw.fileno(), BUFFER, self._raw.tell())
        while b"\n" not in self._ahead and len(self._ahead) < BUFFER:
            block = os.read(self._raw.fileno(), BUFFER)
            if not block:
                break
            self._ahead += block
        return self._ahead

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.total is not None

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count], self._ahead = self._ahead[:count], self._ahead[count:]
        else:
            count = self._raw.readinto(buffer) or 0
        self.count += count
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


@contextmanager
def open_input(path: str | None) -> Iterator[tuple[BinaryIO, CountingReader]]:
    """Open the file at `path`, or standard input. Raise OSError if the file cannot be read."""
    descriptor = 0 if path is None else os.open(path, os.O_RDONLY)
    counted = CountingReader(descriptor, closefd=path is not None)
    with io.BufferedReader(counted, BUFFER) as stream:
        yield stream, counted


def reserve_output() -> int:
    """Reserve standard output for predictions, and return its new descriptor.

    Output of libraries goes to standard error from now on, also what C code has buffered when the
    process ends. This comes before the model is loaded, because libraries write warnings then.
    """
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    return own


@contextmanager
def open_output(path: str | None, standard: int) -> Iterator[BinaryIO]:
    """Open standard output, or a file that replaces `path` if the context ends without an error.

    `standard`: the descriptor of standard output, as `reserve_output` returns it.

    Raises:
        OSError: The file cannot be written.
    """
    if path is None:
        with _standard_output(standard) as stream:
            yield stream
        return
    target = Path(path)
    partial = temporary_name(target)
    try:
        with partial.open("xb", buffering=BUFFER) as stream:
            yield stream
        partial.replace(target)
    finally:
        if partial.exists():
            partial.unlink()


def temporary_name(path: Path) -> Path:
    """Return a hidden name next to a file, which a process in another container does not use."""
    return path.with_name(f".{path.name}.{token_hex(8)}")


@contextmanager
def _standard_output(own: int) -> Iterator[BinaryIO]:
    with os.fdopen(own, "wb", BUFFER) as stream:
        try:
            yield stream
        except KeyboardInterrupt:  # the remaining bytes may wait for a reader that never reads
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, own)
            os.close(nowhere)
            raise
