"""Parquet, if pyarrow is in the image.

The layout is at the end of a file, so input from a pipe is read completely.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

from ...service import Service
from ..chunks import Chunk
from . import arrow

EXTENSIONS = (".parquet", ".pq")
START = b"PAR1"


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    """Read rows. The file contains the names of its columns, so `header` is not used."""
    pa = arrow.library()
    from pyarrow import parquet  # noqa: PLC0415

    source = stream if stream.seekable() else pa.BufferReader(stream.read())
    for batch in parquet.ParquetFile(source).iter_batches(batch_size=max_rows):
        yield arrow.Batch(batch)


class Writer(arrow.Writer):
    """Writes a row group for each chunk."""

    def _open(self, stream: BinaryIO) -> Any:
        from pyarrow import parquet  # noqa: PLC0415

        return parquet.ParquetWriter(stream, self._schema)
