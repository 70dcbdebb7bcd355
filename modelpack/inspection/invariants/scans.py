"""Contents of arrays, read in pieces by the rules that they have to follow.

A rule is a generator: it is sent one piece after the other, and at last an empty one, and raises
`Broken` where what it was sent cannot be. A piece is bytes, or all items of an array of objects. So
all arrays are read in one pass over the file, and none of bytes as a whole.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import limits
from ..nodes import Blob, Node
from .objects import Broken, Content, Stored

PIECE = 256 * limits.KIB
"""The most bytes that a rule is sent at a time."""

Rule = Generator[None, Any, None]


@dataclass(frozen=True, slots=True)
class Scan:
    """`item` is the size in bytes of what a piece holds in whole numbers. Text is sent in UTF-8,
    anything else as the bytes that it is. `work` is what the rule does beyond reading the content,
    in values of 8 bytes.
    """

    content: Content
    item: int
    rule: Rule
    text: bool = False
    work: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Offset and length of content that was not kept."""
        blob = self.content
        return (blob.offset, blob.length) if isinstance(blob, Blob) else (0, 0)

    @property
    def cost(self) -> int:
        """What reading it takes, in bytes."""
        content = self.content
        if isinstance(content, list):
            return 8 * (len(content) + self.work)
        read = content.length if isinstance(content, Blob) else len(content)
        return read + 8 * self.work


def scan(array: Stored, rule: Rule) -> Scan:
    return Scan(array.content, array.dtype.itemsize, rule)


def run(found: Scan) -> None:
    """Send content that is at hand to its rule.

    Raises:
        Broken: the rule is not followed.
    """
    content = found.content
    feeder = Feeder(found)
    if isinstance(content, bytes):
        feeder.feed(content)
    elif isinstance(content, list) and content:
        feeder.send(content)
    feeder.finish()


class Feeder:
    """Sends bytes to a rule as they come."""

    def __init__(self, found: Scan) -> None:
        self._rule = found.rule
        self._item = found.item
        codec = found.content.codec if isinstance(found.content, Blob) else None
        self._decoder = codecs.getincrementaldecoder(codec)() if codec else None
        self._encoding = "utf-8" if found.text else "latin-1"
        self._rest = b""
        self._followed = True
        next(self._rule)

    def feed(self, data: bytes) -> None:
        data = self._rest + self._decoded(data)
        whole = len(data) - len(data) % self._item
        self._rest = data[whole:]
        step = PIECE - PIECE % self._item
        for start in range(0, whole if self._followed else 0, step):
            self.send(data[start : min(start + step, whole)])

    def send(self, piece: bytes | list[Node]) -> None:
        self._followed = False  # unless the rule goes on
        self._rule.send(piece)
        self._followed = True

    def finish(self) -> None:
        """After the last byte."""
        if not self._followed:
            return
        self._decoded(b"", final=True)
        if self._rest:
            raise Broken("an array ends in the middle of a value")
        with suppress(StopIteration):
            self._rule.send(b"")

    def _decoded(self, data: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, final).encode(self._encoding)
        except UnicodeError:
            raise Broken("a text stands for no bytes") from None
