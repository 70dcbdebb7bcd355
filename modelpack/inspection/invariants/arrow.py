"""Texts in pyarrow: offsets into one buffer, and bits that are unset where a text is missing.

pyarrow makes an array of the buffers of a pickle without a look at them. See `_restore_array` in
pyarrow/array.pxi, and the layout of variable-size binary arrays in Arrow's columnar format.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator

from ..dtypes import Dtype
from ..nodes import Blob, Node, Obj
from .integers import values
from .objects import Broken, Content, Stored, length, raw, require
from .scans import Rule, Scan, scan

_WIDTHS = {"large_string": 8, "string": 4}


def strings(made: Obj) -> Iterator[Scan]:
    """The array of a call of `_restore_array`, which keeps its contract."""
    kind, count, missing, first, buffers, *_ = made.args[0]
    width = _WIDTHS[kind.args[0]]
    bits, offsets, data = map(_content, buffers)
    end = first + count
    if bits is None:
        require(missing in (0, -1), "texts are missing, and nothing says which")
    else:
        require(_size(bits) * 8 >= end, "it has fewer bits than texts")
        yield Scan(bits, 1, _missing(first, count, missing))
    if offsets is None or data is None:
        raise Broken("it has no texts")
    wanted = (end + 1) * width
    if isinstance(offsets, bytes):  # a buffer may be longer than needed
        offsets = offsets[:wanted]
    require(_size(offsets) == wanted, "it has fewer or more offsets than texts")
    numbers = Stored("the offsets of texts", _integers(width), (end + 1,), False, offsets)
    yield scan(numbers, _rising(numbers, _size(data)))


def _integers(width: int) -> Dtype:
    return Dtype("i", width, False, False)


def _content(node: Node) -> bytes | Blob | None:
    """The bytes of a buffer; None of one that is missing."""
    return raw(node.args[0]) if isinstance(node, Obj) and len(node.args) == 1 else None


def _size(content: Content) -> int:
    found = length(content)
    if found is None:
        raise Broken("a buffer is written as a text")
    return found


def _rising(numbers: Stored, count: int) -> Rule:
    """They never fall, from 0 or more to `count` or less; a part of an array begins later."""
    last = 0
    while piece := (yield):
        found = values(piece, numbers)
        if found[0] < last or not all(map(operator.le, found, found[1:])):
            raise Broken(f"{numbers.name} fall")
        last = found[-1]
    if last > count:
        raise Broken(f"{numbers.name} end with {last:,}, and there are {count:,} bytes")


def _missing(first: int, count: int, stated: int) -> Rule:
    """As many bits are unset as the array says, which sizes what is computed."""
    unset = place = 0
    while piece := (yield):
        bits = int.from_bytes(piece, "little")
        low, high = max(first - place, 0), min(first + count - place, 8 * len(piece))
        if high > low:
            unset += high - low - ((bits >> low) & ((1 << (high - low)) - 1)).bit_count()
        place += 8 * len(piece)
    require(stated in (-1, unset), f"{unset:,} texts are missing, and it says {stated:,}")
