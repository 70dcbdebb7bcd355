"""Bodies in chunks (RFC 9112, section 7.1), strictly, as they come."""

from __future__ import annotations

import re

from .refusal import Refusal

CHUNKS = 65_536
"""In one body. An array a chunk is fine, a byte a chunk costs more to read than to send."""

LINE_BYTES = 256
TRAILER_BYTES = 8192
SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[\t\x20-\x7e]*)?")
TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*")
NEVER_LAST = {b"content-length", b"host", b"trailer", b"transfer-encoding"}


class Chunked:
    """A body that comes in chunks. `limit`: bytes of the body, beyond which nothing is read."""

    def __init__(self, limit: int) -> None:
        self.body = bytearray()
        self._limit = limit
        self._chunks = 0
        self._left = 0  # bytes of the chunk at hand
        self._trailer = 0  # bytes of what follows the last chunk
        self._read = self._size

    def take(self, data: bytearray) -> bool:
        """Take what belongs to the body off the front of `data`; whether that was the end of it.

        Raises:
            Refusal: 400 the chunks are malformed, 413 they are too large or too many.
        """
        while self._read(data):
            if self._read == self._end:
                return True
        return False

    def _size(self, data: bytearray) -> bool:
        line = _line(data, LINE_BYTES)
        if line is None:
            return False
        match = SIZE.fullmatch(line)
        if match is None:
            raise Refusal(400, "A chunk does not begin with its size.")
        self._left = int(match.group(1), 16)
        self._chunks += 1
        if len(self.body) + self._left > self._limit:
            raise Refusal(413, f"The body is larger than {self._limit} bytes.")
        if self._chunks > CHUNKS:
            raise Refusal(413, f"The body comes in more than {CHUNKS} chunks.")
        self._read = self._data if self._left else self._trailers
        return True

    def _data(self, data: bytearray) -> bool:
        piece = data[: self._left]
        self.body += piece
        del data[: len(piece)]
        self._left -= len(piece)
        if self._left or len(data) < 2:
            return False
        if data[:2] != b"\r\n":
            raise Refusal(400, "A chunk is longer than it says.")
        del data[:2]
        self._read = self._size
        return True

    def _trailers(self, data: bytearray) -> bool:
        """The lines after the last chunk: they have to be headers, and nobody asks for them."""
        line = _line(data, TRAILER_BYTES - self._trailer)
        if line is None:
            return False
        self._trailer += len(line) + 2
        if not line:
            self._read = self._end
            return True
        match = TRAILER.fullmatch(line)
        if match is None or match.group(1).lower() in NEVER_LAST:
            raise Refusal(400, "What follows the last chunk is malformed.")
        return True

    def _end(self, data: bytearray) -> bool:
        raise AssertionError(data)  # nothing is read past the end


def _line(data: bytearray, limit: int) -> bytes | None:
    """The first line, taken off `data`; None: it is not complete."""
    end = data.find(b"\n", 0, limit + 2)
    if end < 0:
        if len(data) > limit:
            raise Refusal(400, "A line between chunks is too long.")
        return None
    line = bytes(data[:end])
    del data[: end + 1]
    if not line.endswith(b"\r"):
        raise Refusal(400, "A line between chunks does not end with CR LF.")
    return line[:-1]
