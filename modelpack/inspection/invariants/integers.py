"""Arrays of integers that compiled code takes for positions."""

from __future__ import annotations

import operator
import sys
from array import array

from . import lanes
from .objects import Broken, Stored
from .scans import Rule

INDEX = {"i4", "i8"}
SIGNED = {"i1", "i2", "i4", "i8"}

_CODES = {"i1": "b", "i2": "h", "i4": "i", "i8": "q"}


def within(numbers: Stored, bound: int, least: int = 0) -> Rule:
    """Each is in [least, bound)."""
    first = 0
    while piece := (yield):
        if not _sound(piece, numbers, bound, least):
            for place, value in enumerate(values(piece, numbers), first):
                if not least <= value < bound:
                    raise Broken(
                        f"{numbers.name} hold {value:,} in place {place:,}, where less than "
                        f"{bound:,} and no less than {least:,} can be"
                    )
        first += len(piece) // numbers.dtype.itemsize


def pointers(numbers: Stored, count: int) -> Rule:
    """They begin with 0, never fall, and end with `count` at most."""
    last: int | None = None
    while piece := (yield):
        found = values(piece, numbers)
        begins = found[0] == 0 if last is None else found[0] >= last
        if not begins or not all(map(operator.le, found, found[1:])):
            raise Broken(f"{numbers.name} do not begin with 0, or fall")
        last = found[-1]
    if last is None or last > count:
        raise Broken(f"{numbers.name} end with {last}, and there are {count:,} values")


def values(piece: bytes, numbers: Stored) -> array[int]:
    """Decode a piece of an array of signed integers."""
    found = array(_CODES[numbers.code])
    found.frombytes(piece)
    if numbers.dtype.big_endian != (sys.byteorder == "big"):
        found.byteswap()
    return found


def _sound(piece: bytes, numbers: Stored, bound: int, least: int) -> bool:
    """Whether all are in [least, bound), found out at once; False also where it cannot be."""
    if least or numbers.code not in INDEX or numbers.dtype.big_endian or bound >= lanes.LIMIT:
        found = values(piece, numbers)
        return least <= min(found) and max(found) < bound
    if numbers.code == "i4":
        return lanes.below(piece, bound)
    words = array("I")
    words.frombytes(piece)
    high = words[1::2].tobytes()
    return high == bytes(len(high)) and lanes.below(words[::2].tobytes(), bound)
