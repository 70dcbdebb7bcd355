"""What a Parquet file will take in memory, from its footer and, since that may lie, from the header
of each page. Nothing is decompressed, and no library looks at it: pyarrow ends the process over
some broken footers.

Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple

from .thrift import BINARY, I32, I64, LIST, STRUCT, Fields, read_struct

MAGIC = b"PAR1"
PADDING = 100  # that a reader grants the chunks of old writers

SCHEMA, GROUPS, ROWS = (2, LIST), (4, LIST), (3, I64)  # of the file; ROWS of a group, too
TYPE, REPETITION, NAME, CHILDREN = (1, I32), (3, I32), (4, BINARY), (5, I32)  # of the schema
COLUMNS, META = (1, LIST), (3, STRUCT)
VALUES, COMPRESSED_CHUNK = (5, I64), (7, I64)
DATA_OFFSET, DICTIONARY_OFFSET = (9, I64), (11, I64)
UNCOMPRESSED, COMPRESSED = (2, I32), (3, I32)  # of a page
DATA, DICTIONARY, DATA_2 = (5, STRUCT), (7, STRUCT), (8, STRUCT)
COUNT = (1, I32)
ENCODINGS = {DATA: (2, I32), DICTIONARY: (2, I32), DATA_2: (4, I32)}

REPEATED, BYTE_ARRAY = 2, 6


class Column(NamedTuple):
    name: str
    text: bool


class Page(NamedTuple):
    """`bytes`: decompressed. `encoding`: None of a page without values."""

    bytes: int
    encoding: int | None


def footer(file: bytes, most: int) -> Fields:
    """The footer.

    Raises:
        ValueError: it is broken.
        OverflowError: it is larger than `most` bytes.
    """
    if len(file) < 12 or file[:4] != MAGIC or file[-4:] != MAGIC:
        raise ValueError("no magic numbers")
    (length,) = struct.unpack("<I", file[-8:-4])
    if length > most:
        raise OverflowError(length)
    if length > len(file) - 12:
        raise ValueError("the footer is longer than the file")
    return read_struct(file[-8 - length : -8], 0)[0]


def rows(footer: Fields) -> int:
    """How many rows the file or any of its groups tells of."""
    counts = [_number(group, ROWS) for group in _structs(footer, GROUPS)]
    if any(count < 0 for count in counts):
        raise ValueError("a negative number of rows")
    return max(sum(counts), _number(footer, ROWS))


def columns(footer: Fields) -> list[Column] | None:
    """None where one of them holds lists or records.

    Raises:
        ValueError: the schema is broken.
    """
    root, *leaves = _structs(footer, SCHEMA)
    nested = any(CHILDREN in leaf or leaf.get(REPETITION) == REPEATED for leaf in leaves)
    if nested or _number(root, CHILDREN) != len(leaves):
        return None
    return [Column(_text(leaf), _number(leaf, TYPE) == BYTE_ARRAY) for leaf in leaves]


def pages(file: bytes, footer: Fields, columns: list[Column]) -> Iterator[Page]:
    """Every page that would be read.

    Raises:
        ValueError: a header is broken.
    """
    for group in _structs(footer, GROUPS):
        chunks = _structs(group, COLUMNS)
        if len(chunks) != len(columns):
            raise ValueError("a group has other columns than the schema")
        for chunk, column in zip(chunks, columns):
            yield from _of_chunk(file, _struct(chunk, META), 4 if column.text else 1)


def _of_chunk(file: bytes, chunk: Fields, least: int) -> Iterator[Page]:
    """As a reader meets them. A value takes at `least` so many bytes in a dictionary."""
    start = _number(chunk, DATA_OFFSET)
    if 0 < chunk.get(DICTIONARY_OFFSET, 0) < start:
        start = chunk[DICTIONARY_OFFSET]
    end = min(start + _number(chunk, COMPRESSED_CHUNK) + PADDING, len(file))
    values = _number(chunk, VALUES)
    if start < 0:
        raise ValueError("a chunk outside the file")
    while values > 0 and start < end:
        header, start = read_struct(file, start)
        size, compressed = _number(header, UNCOMPRESSED), _number(header, COMPRESSED)
        page = next((kind for kind in ENCODINGS if kind in header), None)
        if size < 0 or compressed < 0 or len(header.keys() & ENCODINGS.keys()) > 1:
            raise ValueError("a page of negative size, or of two kinds")
        start += compressed
        if page is None:
            yield Page(size, None)
            continue
        count = _number(header[page], COUNT)
        if page != DICTIONARY:
            values -= count
        if count < 0 or (page == DICTIONARY and least * count > size):
            raise ValueError("a page of more values than fit in it")
        yield Page(size, _number(header[page], ENCODINGS[page]))


def _structs(fields: Fields, key: tuple[int, int]) -> list[Fields]:
    structs = fields.get(key)
    if not isinstance(structs, list) or not all(isinstance(each, dict) for each in structs):
        raise ValueError("a list is missing")
    return structs


def _struct(fields: Fields, key: tuple[int, int]) -> Fields:
    if key not in fields:
        raise ValueError("a struct is missing")
    found: Fields = fields[key]
    return found


def _number(fields: Fields, key: tuple[int, int]) -> int:
    if key not in fields:
        raise ValueError("a number is missing")
    number: int = fields[key]
    return number


def _text(leaf: Fields) -> str:
    return bytes(leaf.get(NAME, b"")).decode("utf-8")
