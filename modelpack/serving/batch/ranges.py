"""Ranges of rows in files, so that several processes can predict one file."""

from __future__ import annotations

from typing import BinaryIO, Callable, Iterator, NamedTuple, Tuple

import numpy as np

BLOCK = 2**20
NEWLINE = 10
EVERYTHING = 2**62


class Range(NamedTuple):
    """Rows of a file.

    Attributes:
        first: The number of rows before them.
        rows: Their number.
        offset: The byte at which they begin, 0 for formats without lines.
        line: The line in which they begin, 0 for formats without lines.
    """

    first: int
    rows: int
    offset: int = 0
    line: int = 0


Records = Iterator[Tuple[int, bytes]]
"""The number of the line, counted from 1, and the bytes of each record."""


def split_count(count: int, size: int) -> list[Range]:
    """Return ranges of `size` rows, and one of the rest, of `count` rows."""
    return [Range(first, min(size, count - first)) for first in range(0, count, size)]


def split_lines(
    stream: BinaryIO,
    line: int,
    size: int,
    is_plain: Callable[[bytes], bool],
    records: Callable[[BinaryIO], Records],
) -> list[Range]:
    """Return ranges of `size` records, and one of the rest.

    Args:
        stream: A file, at the start of its first record.
        line: The number of its line there.
        size: The number of records.
        is_plain: Whether each line of a block is a record. If not, the rest is read record by
            record, which is slower.
        records: Reads the rest.
    """
    starts: list[Range] = []
    row = 0
    while True:
        offset = stream.tell()
        block = stream.read(BLOCK)
        block += stream.readline()
        if not block:
            break
        if not is_plain(block):
            stream.seek(offset)
            for number, record in records(stream):
                if row % size == 0:
                    starts.append(Range(row, 0, stream.tell() - len(record), line + number - 1))
                row += 1
            break
        count = block.count(b"\n") + (not block.endswith(b"\n"))
        first = -row % size
        if first < count:
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE) + 1
            for index in range(first, count, size):
                start = offset + int(ends[index - 1]) if index else offset
                starts.append(Range(row + index, 0, start, line + index))
        row += count
        line += count
    return [start._replace(rows=min(size, row - start.first)) for start in starts]


def count_lines(
    stream: BinaryIO, is_plain: Callable[[bytes], bool], records: Callable[[BinaryIO], Records]
) -> int:
    """Return the number of records, see `split_lines`."""
    return sum(part.rows for part in split_lines(stream, 1, EVERYTHING, is_plain, records))
