"""Comparisons of thousands of integers at once: side by side in one integer of Python.

Each takes a lane of 32 bits, the first the lowest, as `int.from_bytes(column, "little")` lays them.
Sums and differences of such integers are those of the lanes as long as none leaves its lane; the
highest bit of each lane is kept free for that. Five times as fast as a loop over the integers.
"""

from __future__ import annotations

import struct
from functools import cache

from .scans import PIECE

WIDTH = 4
LIMIT = 2**31
"""What a lane holds is less than this."""

MOST = PIECE // WIDTH
"""Lanes that `ones` and `numbers` give."""


def ones(count: int) -> int:
    """The value 1 in each of `count` lanes."""
    return _ones() & _all(count)


def numbers(count: int) -> int:
    """The values 0, 1, 2, ... in `count` lanes."""
    return _numbers() & _all(count)


def less(lanes: int, bounds: int, one: int) -> bool:
    """Whether each lane is less than its bound; `one` is `ones` of as many lanes.

    Bounds have to be less than `LIMIT`; a lane that is not is found out.
    """
    spare = one << 31
    return not lanes & spare and ((bounds | spare) - lanes - one) & spare == spare


def below(column: bytes, bound: int) -> bool:
    """Whether each 32-bit integer of a column, little endian, is in [0, bound); bound < `LIMIT`."""
    one = ones(len(column) // WIDTH)
    return less(int.from_bytes(column, "little"), bound * one, one)


def _all(count: int) -> int:
    return (1 << 8 * WIDTH * count) - 1


@cache
def _ones() -> int:
    return int.from_bytes(b"\1\0\0\0" * MOST, "little")


@cache
def _numbers() -> int:
    return int.from_bytes(struct.pack(f"<{MOST}I", *range(MOST)), "little")
