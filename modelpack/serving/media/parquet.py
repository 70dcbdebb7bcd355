"""Parquet, whose size is checked first."""

from __future__ import annotations

import struct
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Tuple

from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Service
from . import arrow_tables

TYPES = ("application/vnd.apache.parquet", "application/x-parquet")
NEEDS = "pyarrow"

MAX_FOOTER_BYTES, MAX_FOOTER_BYTES_PER_INPUT = (
    2**16,
    2**11,
)  # its structs take a hundred times as much
MAX_PAGES = 20_000
BOUNDED_ENCODINGS = {None, 0, 2, 3, 4, 8, 9}
"""Encodings whose values are not longer than the page. With delta encodings, each value may repeat
the one before.
"""


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """Decode the rows of a file.

    Raises:
        Problem: 400, the body is not such a file. 413, it is too large when decompressed. 415, an
            encoding has no bounded size. See also `arrow_tables.rows`.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        table = _table(service, body)
    except (pa.ArrowException, ValueError, OSError, NotImplementedError, KeyError) as error:
        raise Problem(400, "The body is not a Parquet file.") from error
    return arrow_tables.rows(service, table, ignored)


def write(
    prediction: results.Prediction,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
) -> bytes:
    """Return a table with `prediction`, and `probability_setosa`... if any."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    sink = pa.BufferOutputStream()
    parquet.write_table(arrow_tables.table(prediction), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _table(service: Service, body: bytes) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    texts = [column.name for column in _safe_columns(service, body) if column.text]
    file = parquet.ParquetFile(
        pa.BufferReader(body),
        read_dictionary=texts,  # otherwise a long text would be created for each row
        pre_buffer=False,
    )
    return file.read(use_threads=False)


def _safe_columns(service: Service, body: bytes) -> list[Column]:
    """Check the size of a file, and return its columns."""
    inputs = len(service.manifest.inputs) or 1000
    try:
        footer = page_footer(body, MAX_FOOTER_BYTES + MAX_FOOTER_BYTES_PER_INPUT * inputs)
    except OverflowError as error:
        detail = f"The footer of the Parquet file is too large for {inputs} inputs."
        raise Problem(413, detail) from error
    rows, columns = page_rows(footer), page_columns(footer)
    if rows > service.limits.rows:
        raise Problem(413, f"Expected at most {service.limits.rows} rows, got {rows}.")
    if columns is None:
        raise Problem(422, "A column of the Parquet file contains lists or records.")
    room = service.limits.body_bytes
    for number, page in enumerate(pages(body, footer, columns), 1):
        room -= page.bytes
        if page.encoding not in BOUNDED_ENCODINGS:
            raise Problem(415, "Send Parquet without delta encodings: they could grow too large.")
        if room < 0 or number > MAX_PAGES:
            limit = service.limits.body_bytes
            detail = f"The Parquet file has more than {limit} bytes, or too many pages."
            raise Problem(413, detail)
    return columns


# Readers in C++ skip a field whose type they do not expect. So fields are looked up by number and
# type here, and integers out of the range of their type are errors.
#
# See https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12
WIDTHS = {BYTE: 1, DOUBLE: 8}
BITS = {I16: 16, I32: 32, I64: 64}
MAX_DEPTH = 10
MAX_VARINT_BYTES = 10

Fields = Dict[Tuple[int, int], Any]
"""(number, type) -> an integer, boolean, bytes, list, Fields, or None for a skipped value."""


def read_struct(data: bytes, position: int, depth: int = 0) -> tuple[Fields, int]:
    """Return the fields of the struct at `position`, and its end.

    Raises:
        ValueError: The struct is malformed, or contains a map or a set.
    """
    fields: Fields = {}
    numbers: set[int] = set()
    number = 0
    while True:
        head = _byte(data, position)
        position += 1
        if not head:
            return fields, position
        if head >> 4:
            number += head >> 4
        else:
            number, position = _integer(data, position, I16)
        if number in numbers or depth > MAX_DEPTH:
            raise ValueError("a field is there twice, or too deep")
        numbers.add(number)
        fields[number, head & 15], position = _value(data, position, head & 15, depth)


def _value(data: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (TRUE, FALSE):
        return kind == TRUE, position
    if kind in BITS:
        return _integer(data, position, kind)
    if kind in WIDTHS:
        return None, position + WIDTHS[kind]
    if kind == BINARY:
        length, position = _varint(data, position)
        return data[position : position + length], position + length
    if kind == STRUCT:
        return read_struct(data, position, depth + 1)
    if kind == LIST:
        return _list(data, position, depth + 1)
    raise ValueError("a map or a set")


def _list(data: bytes, position: int, depth: int) -> tuple[list[Any], int]:
    head = _byte(data, position)
    position += 1
    count, kind = head >> 4, head & 15
    if count == 15:
        count, position = _varint(data, position)
    if count > len(data) - position or depth > MAX_DEPTH:  # a value takes at least one byte
        raise ValueError("a list is too long, or too deep")
    values = []
    for _ in range(count):
        if kind in (TRUE, FALSE):  # booleans take a byte in a list
            position += 1
        value, position = _value(data, position, kind, depth)
        values.append(value)
    return values, position


def _integer(data: bytes, position: int, kind: int) -> tuple[int, int]:
    value, position = _varint(data, position)
    if value >> BITS[kind]:
        raise ValueError("an integer is out of range")
    return (value >> 1) ^ -(value & 1), position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(MAX_VARINT_BYTES):
        byte = _byte(data, position + index)
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, position + index + 1
    raise ValueError("an integer is too long")


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise ValueError("the data ends within a struct")
    return data[position]


# See https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
MAGIC = b"PAR1"
PADDING = 100  # which readers add to the chunks of old writers

SCHEMA, GROUPS, ROWS = (2, LIST), (4, LIST), (3, I64)  # in the file; ROWS also in a group
TYPE, REPETITION, NAME, CHILDREN = (1, I32), (3, I32), (4, BINARY), (5, I32)  # in the schema
COLUMNS, META = (1, LIST), (3, STRUCT)
VALUES, COMPRESSED_CHUNK = (5, I64), (7, I64)
DATA_OFFSET, DICTIONARY_OFFSET = (9, I64), (11, I64)
UNCOMPRESSED, COMPRESSED = (2, I32), (3, I32)  # in a page
DATA, DICTIONARY, DATA_2 = (5, STRUCT), (7, STRUCT), (8, STRUCT)
COUNT = (1, I32)
ENCODINGS = {DATA: (2, I32), DICTIONARY: (2, I32), DATA_2: (4, I32)}

REPEATED, BYTE_ARRAY = 2, 6


class Column(NamedTuple):
    """A column. `text`: it contains byte arrays."""

    name: str
    text: bool


class Page(NamedTuple):
    """A page. `bytes`: decompressed. `encoding`: None for a page without values."""

    bytes: int
    encoding: int | None


def page_footer(file: bytes, max_bytes: int) -> Fields:
    """Return the footer.

    Raises:
        ValueError: The footer is malformed.
        OverflowError: The footer is larger than `max_bytes`.
    """
    if len(file) < 12 or file[:4] != MAGIC or file[-4:] != MAGIC:
        raise ValueError("no magic numbers")
    (length,) = struct.unpack("<I", file[-8:-4])
    if length > max_bytes:
        raise OverflowError(length)
    if length > len(file) - 12:
        raise ValueError("the footer is longer than the file")
    return read_struct(file[-8 - length : -8], 0)[0]


def page_rows(footer: Fields) -> int:
    """Return the number of rows, as the footer or its groups state it."""
    counts = [_number(group, ROWS) for group in _structs(footer, GROUPS)]
    if any(count < 0 for count in counts):
        raise ValueError("a negative number of rows")
    return max(sum(counts), _number(footer, ROWS))


def page_columns(footer: Fields) -> list[Column] | None:
    """Return the columns, or None if one contains lists or records.

    Raises:
        ValueError: The schema is malformed.
    """
    root, *leaves = _structs(footer, SCHEMA)
    nested = any(CHILDREN in leaf or leaf.get(REPETITION) == REPEATED for leaf in leaves)
    if nested or _number(root, CHILDREN) != len(leaves):
        return None
    return [Column(_text(leaf), _number(leaf, TYPE) == BYTE_ARRAY) for leaf in leaves]


def pages(file: bytes, footer: Fields, columns: list[Column]) -> Iterator[Page]:
    """Yield every page that would be read. Raise ValueError if a header is broken."""
    for group in _structs(footer, GROUPS):
        chunks = _structs(group, COLUMNS)
        if len(chunks) != len(columns):
            raise ValueError("a group has other columns than the schema")
        for chunk, column in zip(chunks, columns):
            yield from _chunk_pages(file, _struct(chunk, META), 4 if column.text else 1)


def _chunk_pages(file: bytes, chunk: Fields, least: int) -> Iterator[Page]:
    """Yield the pages of a chunk. `least`: the bytes of a value in a dictionary."""
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
    struct: Fields = fields[key]
    return struct


def _number(fields: Fields, key: tuple[int, int]) -> int:
    if key not in fields:
        raise ValueError("a number is missing")
    number: int = fields[key]
    return number


def _text(leaf: Fields) -> str:
    return bytes(leaf.get(NAME, b"")).decode("utf-8")
