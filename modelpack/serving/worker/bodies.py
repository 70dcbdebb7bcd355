"""The body of a request, as it comes."""

from __future__ import annotations

from typing import Union

from ..limits import Limits
from .chunks import Chunked
from .head import Head
from .refusal import Refusal


class Sized:
    """A body of `length` bytes."""

    def __init__(self, length: int) -> None:
        self.body = bytearray()
        self._left = length

    def take(self, data: bytearray) -> bool:
        """Take what belongs to the body off the front of `data`; whether that was the end of it."""
        piece = data[: self._left]
        self.body += piece
        del data[: len(piece)]
        self._left -= len(piece)
        return not self._left


Body = Union[Sized, Chunked]


def of(head: Head, limits: Limits) -> Body:
    """The body that a head announces.

    Raises:
        Refusal: 413 it is too large.
    """
    if head.length is None:
        return Chunked(limits.body_bytes)
    if head.length > limits.body_bytes:
        raise Refusal(413, f"The body is larger than {limits.body_bytes} bytes.")
    return Sized(head.length)
