"""A window that moves once over the stream, for the machine to read opcodes and values from."""

from __future__ import annotations

from collections.abc import Iterator

from . import limits
from .nodes import Blob, Malformed

LONGEST_FIXED = 16
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

    def refill(self, count: int = LONGEST_FIXED) -> None:
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
        if len(self.buffer) - self.position < LONGEST_FIXED:
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
        self.check = len(self.buffer) - (0 if self._ended else LONGEST_FIXED)
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
            self.refill(2 * have + LONGEST_FIXED)
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
