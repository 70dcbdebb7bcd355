"""Small request bodies that decompress to large ones, and tables of unsupported types."""

from __future__ import annotations

import datetime
import io
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from modelpack.serving.media import arrow


def to_arrow(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table)
    return sink.getvalue()


def growing(batches: int) -> bytes:
    """Return a stream whose dictionary grows with each batch, so that readers copy it each time."""
    words, type_ = ["a" * 1_000_000], pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema({"text": type_})
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, schema, options=options) as stream:
        for number in range(batches):
            words.append(str(number))
            column = pa.DictionaryArray.from_arrays(pa.array([1], pa.int32()), words)
            stream.write_batch(pa.record_batch([column], schema=schema))
    return sink.getvalue()


def arrow_0_17_stream(table: pa.Table) -> bytes:
    """Return a stream that marks its compression only as Arrow 0.17 did."""
    sink = io.BytesIO()
    version = pa.ipc.MetadataVersion.V4
    options = pa.ipc.IpcWriteOptions(compression="zstd", metadata_version=version)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        for batch in table.to_batches():
            stream.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    data = bytearray(sink.getvalue())
    position = 0
    while size := struct.unpack_from("<i", data, position + 4)[0]:
        message = arrow.Table.root(bytes(data), position + 8, size)
        records = message.table(2)
        if records is not None and message.integer("<B", 1) == arrow.RECORDS:
            struct.pack_into("<H", data, position + 8 + records.names + 4 + 2 * 3, 0)
        position += 8 + size + message.integer("<q", 3)
    return bytes(data)


def to_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def repeated(size: int, rows: int) -> pa.DictionaryArray:
    """Return an array with one text of `size` bytes in `rows` rows."""
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
    "compressed by zstd": to_arrow(LONG, compression="zstd"),
    "compressed by lz4": to_arrow(LONG, compression="lz4"),
    "one long text for all rows": to_arrow(ALIKE),
    "one long text for all batches": to_arrow(BATCHES),
    "views of one long text": to_arrow(pa.table({"text": VIEWS})),
    "rows of nothing": to_arrow(NOTHING),
}
PARQUET_BOMBS = {
    "compressed by zstd": to_parquet(LONG, compression="zstd", use_dictionary=False),
    "compressed by gzip": to_parquet(LONG, compression="gzip", use_dictionary=False),
    "one long text for all rows": to_parquet(ALIKE, compression="zstd"),
    "more rows than a request takes": to_parquet(pa.table({"text": pa.nulls(10_001, pa.string())})),
    "a footer for thousands of columns": to_parquet(
        pa.table({f"column {index}": [1.0] for index in range(2000)})
    ),
}
GROWING = growing(300)
HIDDEN = arrow_0_17_stream(LONG)
DELTAS = to_parquet(
    LONG,
    column_encoding={"text": "DELTA_BYTE_ARRAY"},
    use_dictionary=False,
    compression="none",
)

DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
NOON = datetime.time(12)
STRANGE: dict[str, pa.Array] = {
    "dates": pa.array([DAY]),
    "times": pa.array([NOON]),
    "lists or records": pa.array([[1.0]]),
    "values of another type": pa.array([b"1"]),
}
NUMBERS: dict[str, pa.Array] = {
    "decimals": pa.array([Decimal("5.1")]),
    "halves": pa.array([5.0], pa.float16()),
    "bytes": pa.array([5], pa.uint8()),
    "a dictionary": pa.array([5.0]).dictionary_encode(),
}
