"""Arrow's stream and file formats, if pyarrow is in the image."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection, Iterator, Sequence

from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...media import arrow_tables
from ...problems import Problem
from ...service import Service
from ..chunks import Chunk, ChunkResult

EXTENSIONS = (".arrow", ".arrows", ".feather")
START = b"ARROW1"
STREAM = b"\xff\xff\xff\xff"


class Batch(Chunk):
    """A pyarrow.RecordBatch."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        table = library().Table.from_batches([self._batch])
        inputs = [name for name in table.column_names if name not in extra]
        return arrow_tables.rows(service, table.select(inputs) if extra else table, ignored)

    def take(self, indexes: Sequence[int]) -> Batch:
        return Batch(self._batch.take(library().array(list(indexes), library().int64())))

    @property
    def names(self) -> list[str] | None:
        return list(self._batch.schema.names)

    def values(self, index: int, name: str) -> Any:  # noqa: ARG002 - there are names
        return self._batch.column(self._batch.schema.get_field_index(name)).to_pylist()


def library() -> Any:
    """Import pyarrow. Raise a Problem 415 if it is missing."""
    if not arrow_tables.is_usable():
        detail = "This format needs pyarrow: package with --requirement pyarrow."
        raise Problem(415, detail)
    import pyarrow as pa  # noqa: PLC0415

    return pa


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    for batch in _batches(stream):
        for start in range(0, batch.num_rows, max_rows):
            yield Batch(batch.slice(start, max_rows))


def _batches(stream: BinaryIO) -> Iterator[Any]:
    ipc = library().ipc
    if not stream.peek(len(START)).startswith(START):  # type: ignore[attr-defined]
        yield from ipc.open_stream(stream)
        return
    file = ipc.open_file(stream if stream.seekable() else library().BufferReader(stream.read()))
    for index in range(file.num_record_batches):
        yield file.get_batch(index)


class Writer:
    """Writes a stream with a batch for each chunk."""

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        pa = library()
        types = [(name, pa.array(values).type) for name, values in like.columns().items()]
        self._schema = pa.schema(types)
        self._writer = self._open(stream)

    def _open(self, stream: BinaryIO) -> Any:
        return library().ipc.new_stream(stream, self._schema)

    def write(self, answered: ChunkResult) -> None:
        columns = zip(self._schema, answered.columns().values())
        arrays = [library().array(values, field.type) for field, values in columns]
        self._writer.write_table(library().Table.from_arrays(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()
