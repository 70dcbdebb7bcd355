"""Arrow's stream and file formats, where pyarrow is in the image."""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

import numpy as np

from ...problems import Problem
from ...service import Service
from ..answers import Answered, columns
from ..chunks import Chunk, Table

EXTENSIONS = (".arrow", ".arrows", ".feather")
START = b"ARROW1"
STREAM = b"\xff\xff\xff\xff"


def pyarrow() -> Any:
    """The library.

    Raises:
        Problem: 415 it is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415 - few images have it
    except ImportError as error:
        told = (
            "Arrow and Parquet need pyarrow, which is not here: package with --requirement pyarrow."
        )
        raise Problem(415, told) from error
    return pyarrow


def read(stream: BinaryIO, most: int, service: Service) -> Iterator[Chunk]:  # noqa: ARG001
    pa = pyarrow()
    if stream.peek(len(START)).startswith(START):  # type: ignore[attr-defined]
        source = stream if stream.seekable() else pa.BufferReader(stream.read())
        file = pa.ipc.open_file(source)
        batches = (file.get_batch(index) for index in range(file.num_record_batches))
    else:
        batches = iter(pa.ipc.open_stream(stream))
    for batch in batches:
        for start in range(0, batch.num_rows, most):
            yield table(batch.slice(start, most))


def table(batch: Any) -> Table:
    """A record batch as columns."""
    return Table(list(batch.schema.names), [_column(column) for column in batch.columns])


def _column(column: Any) -> Any:
    types = pyarrow().types
    numeric = types.is_integer(column.type) or types.is_floating(column.type)
    if numeric and not column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return column.to_pylist()


def batch_of(answered: Answered, first: Answered, schema: Any = None) -> Any:
    """Answers as a record batch; `schema`: that of the batches before it."""
    names, values = zip(*columns(answered, first))
    if schema is None:
        return pyarrow().RecordBatch.from_arrays([pyarrow().array(v) for v in values], list(names))
    arrays = [pyarrow().array(v, field.type) for v, field in zip(values, schema)]
    return pyarrow().RecordBatch.from_arrays(arrays, schema=schema)


class Writer:
    """A stream with a batch for each chunk."""

    def __init__(self, stream: BinaryIO, first: Answered) -> None:
        self._first = first
        self._schema = batch_of(first, first).schema
        self._writer = self._open(stream)

    def _open(self, stream: BinaryIO) -> Any:
        return pyarrow().ipc.new_stream(stream, self._schema)

    def write(self, answered: Answered) -> None:
        self._writer.write_batch(batch_of(answered, self._first, self._schema))

    def close(self) -> None:
        self._writer.close()
