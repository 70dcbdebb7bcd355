"""Arrays of integers that compiled code takes for positions."""

from __future__ import annotations

import operator
import sys
from array import array

from . import lanes
from .objects import Broken, Stored
from .scans import Rule

INDEX = {"i4", "i8"}


def within(numbers: Stored, bound: int) -> Rule:
    """Each is in [0, bound)."""
    first = 0
    while piece := (yield):
        if not _sound(piece, numbers, bound):
            for place, value in enumerate(_values(piece, numbers), first):
                if not 0 <= value < bound:
                    raise Broken(
                        f"{numbers.name} hold {value:,} in place {place:,}, where less than "
                        f"{bound:,} and no less than 0 can be"
                    )
        first += len(piece) // numbers.dtype.itemsize


def pointers(numbers: Stored, count: int) -> Rule:
    """They begin with 0, never fall, and end with `count` at most."""
    last: int | None = None
    while piece := (yield):
        values = _values(piece, numbers)
        begins = values[0] == 0 if last is None else values[0] >= last
        if not begins or not all(map(operator.le, values, values[1:])):
            raise Broken(f"{numbers.name} do not begin with 0, or fall")
        last = values[-1]
    if last is None or last > count:
        raise Broken(f"{numbers.name} end with {last}, and there are {count:,} values")


def _values(piece: bytes, numbers: Stored) -> array[int]:
    values = array("q" if numbers.code == "i8" else "i")
    values.frombytes(piece)
    if numbers.dtype.big_endian != (sys.byteorder == "big"):
        values.byteswap()
    return values


def _sound(piece: bytes, numbers: Stored, bound: int) -> bool:
    """Whether all are in [0, bound), found out at once; False also where it cannot be."""
    if numbers.dtype.big_endian or not bound < lanes.LIMIT:
        return False
    if numbers.code == "i4":
        return lanes.below(piece, bound)
    words = array("I")
    words.frombytes(piece)
    high = words[1::2].tobytes()
    return high == bytes(len(high)) and lanes.below(words[::2].tobytes(), bound)
