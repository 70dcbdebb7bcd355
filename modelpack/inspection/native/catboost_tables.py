"""The counters of CatBoost: for each value of a category, or of several together, what the targets
of such rows were. They come after the trees, and CatBoost reads them without a look at any bound.

Their number (uint32), and for each its size (uint32) and a FlatBuffer, TCtrValueTable: field 0 is
what is counted (its field 1 the kind), 1 a hash table, 2 the counts, 4 the number of classes of
targets. The hash table has 2**n buckets of 12 bytes: a hash (uint64), and the number of its counts
(uint32). It is searched from the bucket of a hash on, up to one that is empty.
"""

from __future__ import annotations

import struct

from ..facts.flatbuffers import Table
from ..invariants import CODE
from ..nodes import require

_SIZE = struct.Struct("<I")
_BUCKET = struct.Struct("<QI")
_EMPTY = 2**64 - 1
_KINDS = 6
_OF_CLASSES, _MEANS = {0, 1}, {2, 3}  # else one number, of 4 bytes
_MOST_CLASSES = 100_000


def check(data: bytes) -> None:
    """Raises:
    Malformed: searching a table or reading what it finds would lead out of it.
    struct.error: the tables are cut, or point beyond their end.
    """
    (count,) = _SIZE.unpack_from(data)
    position = _SIZE.size
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, position)
        position += _SIZE.size
        require(size <= len(data) - position, "the counters of CatBoost end too early", "truncated")
        _check_table(Table.root(data[position : position + size]))
        position += size
    require(position == len(data), "bytes follow the end of the CatBoost model", "trailing-data")


def _check_table(table: Table) -> None:
    counted = table.table(0)
    kind = _kind(counted) if counted else _KINDS
    require(kind < _KINDS, "the counters of CatBoost are of a kind that it does not have", CODE)
    buckets, counts = table.raw(1), table.raw(2)
    number, rest = divmod(len(buckets), _BUCKET.size)
    is_power = number > 0 and number & (number - 1) == 0 and not rest
    require(is_power, "a hash table of CatBoost has not 2**n buckets", CODE)
    known = len(counts) // _width(kind, table.integer(4))
    has_end = False
    for key, index in _BUCKET.iter_unpack(buckets):
        has_end |= key == _EMPTY
        fits = key == _EMPTY or index < known
        require(fits, "a hash table of CatBoost leads to counts that there are not", CODE)
    require(has_end, "a hash table of CatBoost is full, and searching it has no end", CODE)


def _kind(counted: Table) -> int:
    """Once what is counted has been read to its end: features, and splits of 8 bytes."""
    combination = counted.table(0)
    if combination is not None:
        for field, code in ((0, "i"), (1, "q"), (2, "q")):
            combination.values(field, code)
    return counted.byte(1)


def _width(kind: int, classes: int) -> int:
    """How many bytes the counts of one value take."""
    if kind in _OF_CLASSES:
        require(0 < classes <= _MOST_CLASSES, "counters of CatBoost have no classes", CODE)
        return 4 * classes
    return 8 if kind in _MEANS else 4
