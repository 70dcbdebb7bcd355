"""Small bodies that would become large ones, and tables of types that are no input's."""

from __future__ import annotations

import datetime
import io
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import parquet


def arrow_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return sink.getvalue()


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def repeated(size: int, rows: int) -> pa.DictionaryArray:
    """A text of `size` bytes, once, and `rows` rows that are it."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["a" * size])


LONG = pa.table({"text": ["a" * 100_000] * 500})  # 50 MB of text
ALIKE = pa.table({"text": repeated(5_000, 10_000)})  # 50 MB, were it written out
BATCHES = pa.Table.from_batches([pa.record_batch({"text": repeated(1_000_000, 1)})] * 5000)
VIEW = struct.pack("<i4sii", 5000, b"aaaa", 0, 0)  # of the first buffer's beginning
VIEWS = pa.Array.from_buffers(
    pa.string_view(), 10_000, [None, pa.py_buffer(VIEW * 10_000), pa.py_buffer(b"a" * 5000)]
)
NOTHING = pa.table({"text": pa.nulls(10**9)})

ARROW_BOMBS = {
    "compressed by zstd": arrow_of(LONG, compression="zstd"),
    "compressed by lz4": arrow_of(LONG, compression="lz4"),
    "one long text for all rows": arrow_of(ALIKE),
    "one long text for all batches": arrow_of(BATCHES),
    "views of one long text": arrow_of(pa.table({"text": VIEWS})),
    "rows of nothing": arrow_of(NOTHING),
}
PARQUET_BOMBS = {
    "compressed by zstd": parquet_of(LONG, compression="zstd", use_dictionary=False),
    "compressed by gzip": parquet_of(LONG, compression="gzip", use_dictionary=False),
    "one long text for all rows": parquet_of(ALIKE, compression="zstd"),
    "more rows than a request takes": parquet_of(pa.table({"text": pa.nulls(10_001, pa.string())})),
    "a footer for thousands of columns": parquet_of(
        pa.table({f"column {index}": [1.0] for index in range(2000)})
    ),
}
DELTAS = parquet_of(
    LONG,
    column_encoding={"text": "DELTA_BYTE_ARRAY"},
    use_dictionary=False,
    compression="none",
)

DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
STRANGE: dict[str, pa.Array] = {
    "dates or times": pa.array([DAY]),
    "lists or records": pa.array([[1.0]]),
    "values of another type": pa.array([b"1"]),
}
NUMBERS: dict[str, pa.Array] = {
    "decimals": pa.array([Decimal("5.1")]),
    "halves": pa.array([5.0], pa.float16()),
    "bytes": pa.array([5], pa.uint8()),
    "a dictionary": pa.array([5.0]).dictionary_encode(),
}
