"""Checks of arrays of pyarrow, which pandas uses for texts and for columns of ArrowDtype.

pyarrow builds an array from the buffers of a pickle without checking their sizes, and the offsets
in them. See `_restore_array` in pyarrow/array.pxi, and the layouts of fixed-size and variable-size
binary arrays in Arrow's columnar format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..contracts.arrow import TEXTS, bits, type_name
from ..nodes import Blob, Node, ObjectNode
from ..pickle.dtypes import Dtype
from .objects import Content, InvariantError, StoredArray, length, raw, require
from .scan import Rule, Scan, rising, scan_values

_MAX_NULLS = 2**31


def array(node: ObjectNode) -> Iterator[Scan]:
    """An array of `_restore_array`, whose arguments follow their contract."""
    kind, count, missing, first, buffers, *_ = node.args[0]
    valid, *others = map(_content, buffers)
    if not others:
        require(missing in (-1, count), "an array of the type null counts values")
        require(first + count < _MAX_NULLS, "an array of the type null is too long")
        return
    if valid is None:
        require(missing in (0, -1), "it counts missing values, but has no validity bitmap")
    else:
        require(_size(valid) * 8 >= first + count, "its validity bitmap is shorter than its values")
        yield Scan(valid, 1, _missing(first, count, missing))
    width = TEXTS.get(type_name(kind))
    if width:
        yield _offsets(others, first + count, width)
    else:
        fits = _size(others[0]) * 8 >= (first + count) * bits(kind)
        require(fits, "its buffer is shorter than its values")


def _offsets(buffers: Sequence[Content | None], end: int, width: int) -> Scan:
    offsets, data = buffers
    if offsets is None or data is None:
        raise InvariantError("it has no texts")
    needed = (end + 1) * width
    if isinstance(offsets, bytes):  # a buffer may be longer than needed
        offsets = offsets[:needed]
    require(_size(offsets) == needed, "the number of its offsets does not match its texts")
    numbers = StoredArray("the offsets of texts", _integers(width), (end + 1,), False, offsets)
    return scan_values(numbers, rising(numbers, _size(data), first=None))


def _integers(width: int) -> Dtype:
    return Dtype("i", width, False, False)


def _content(node: Node) -> bytes | Blob | None:
    """Return the bytes of a buffer, or None if it is missing."""
    return raw(node.args[0]) if isinstance(node, ObjectNode) and len(node.args) == 1 else None


def _size(content: Content | None) -> int:
    found = None if content is None else length(content)
    if found is None:
        raise InvariantError("a buffer is saved as text")
    return found


def _missing(first: int, count: int, stated: int) -> Rule:
    """Require that `stated` bits are unset: pyarrow allocates results by this number."""
    unset = place = 0
    while piece := (yield):
        word = int.from_bytes(piece, "little")
        low, high = max(first - place, 0), min(first + count - place, 8 * len(piece))
        if high > low:
            unset += high - low - ((word >> low) & ((1 << (high - low)) - 1)).bit_count()
        place += 8 * len(piece)
    require(stated in (-1, unset), f"{unset:,} values are missing, but it counts {stated:,}")
