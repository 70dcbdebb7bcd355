"""The members of a skops file beside its schema: arrays, matrices and bytes."""

from __future__ import annotations

from collections.abc import Iterator

from ..nodes import Node
from ..reader import Reader
from . import npy
from .archive import Budget, members
from .headers import Member, broken

SCHEMA = "schema.json"

Leaf = tuple[tuple[str, ...], Member, Reader]


def leaves(reader: Reader, budget: Budget) -> Iterator[Leaf]:
    """Each member with the names that lead to it, those of matrices (.npz) taken apart. Offsets in
    them count the bytes of all, one after the other.
    """
    return _placed(_leaves(reader, budget))


def _leaves(reader: Reader, budget: Budget) -> Iterator[Leaf]:
    for member, body in members(reader, budget):
        if member.name.endswith(".npz"):
            for inner, array in members(body, budget):
                yield (member.name, inner.name), inner, array
        else:
            yield (member.name,), member, body


def _placed(found: Iterator[Leaf]) -> Iterator[Leaf]:
    offset = 0
    for path, member, body in found:
        body.base = offset
        offset += member.size
        yield path, member, body


def contents(reader: Reader, size: int) -> Iterator[bytes]:
    """The bytes of all members of a file of `size` bytes, as the offsets of `leaves` count them."""
    for _, _, body in leaves(reader, Budget(size)):
        while not body.at_end():
            yield body.buffer[body.position :]
            body.position = len(body.buffer)


def value(path: tuple[str, ...], member: Member, body: Reader) -> Node:
    """The array, or the bytes, in a member.

    Raises:
        Malformed: skops writes no such member.
    """
    suffix = path[-1].rpartition(".")[2]
    if suffix == "npy":
        return npy.read(body, member.size)
    if suffix == "bin" and len(path) == 1:
        return body.value(member.size)
    raise broken(f"skops writes no member named {path[-1]}")
