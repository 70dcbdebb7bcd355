"""Parquet, if pyarrow is in the image.

The layout is at the end of a file, so input from a pipe is read completely.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

from ...service import Service
from .. import ranges
from ..chunks import Chunk
from ..ranges import Range
from . import arrow

EXTENSIONS = (".parquet", ".pq")
START = b"PAR1"


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:
    """Read rows. The file contains the names of its columns, so `header` is not used."""
    source = stream if stream.seekable() else arrow.library().BufferReader(stream.read())
    everything = Range(0, _open(source).metadata.num_rows)
    yield from read_range(source, everything, max_rows, service, header)


def split(stream: BinaryIO, size: int, service: Service, header: str | None) -> list[Range]:  # noqa: ARG001
    """Return ranges of `size` rows, whatever the row groups are."""
    return ranges.split_count(_open(stream).metadata.num_rows, size)


def count_written(stream: BinaryIO) -> int:
    """Return the number of rows that `Writer` wrote."""
    return int(_open(stream).metadata.num_rows)


def read_range(
    stream: BinaryIO,
    part: Range,
    max_rows: int,
    service: Service,  # noqa: ARG001
    header: str | None,  # noqa: ARG001
) -> Iterator[Chunk]:
    """Yield chunks of a range of rows. All but the last have `max_rows`."""
    pa, file = arrow.library(), _open(stream)
    groups, skipped = _row_groups(file, part)
    if not groups:
        return
    table, left = None, part.rows
    for batch in file.iter_batches(batch_size=max_rows, row_groups=groups):
        start = min(skipped, batch.num_rows)
        used = batch.slice(start, left)
        skipped -= start
        left -= used.num_rows
        if table is None and used.num_rows == max_rows:
            yield arrow.Batch(used)
            continue
        read = pa.Table.from_batches([used])
        table = read if table is None else pa.concat_tables([table, read])
        while table.num_rows >= max_rows:
            yield from _chunks(table.slice(0, max_rows))
            table = table.slice(max_rows)
        table = table if table.num_rows else None
        if not left:
            break
    if table is not None:
        yield from _chunks(table)


def _open(source: Any) -> Any:
    arrow.library()
    from pyarrow import parquet  # noqa: PLC0415

    return parquet.ParquetFile(source)


def _row_groups(file: Any, part: Range) -> tuple[list[int], int]:
    """Return the row groups that contain a range, and the number of rows in them before it."""
    groups: list[int] = []
    before = start = 0
    for index in range(file.num_row_groups):
        end = start + file.metadata.row_group(index).num_rows
        if start < part.first + part.rows and end > part.first:
            before = before if groups else part.first - start
            groups.append(index)
        start = end
    return groups, before


def _chunks(table: Any) -> Iterator[Chunk]:
    """Yield the rows of a table, in one batch."""
    return map(arrow.Batch, table.combine_chunks().to_batches())


class Writer(arrow.Writer):
    """Writes a row group for each chunk."""

    def _open(self, stream: BinaryIO) -> Any:
        from pyarrow import parquet  # noqa: PLC0415

        return parquet.ParquetWriter(stream, self._schema)
