"""Parquet, where pyarrow is in the image. What tells its layout stands at its end, so that of a
pipe it is read whole; of a file, in parts.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

from ...service import Service
from ..chunks import Chunk
from . import arrow

EXTENSIONS = (".parquet", ".pq")
START = b"PAR1"


def read(stream: BinaryIO, most: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    pa = arrow.library()
    from pyarrow import parquet  # noqa: PLC0415

    source = stream if stream.seekable() else pa.BufferReader(stream.read())
    for batch in parquet.ParquetFile(source).iter_batches(batch_size=most):
        yield arrow.Batch(batch)


class Writer(arrow.Writer):
    """A row group for each chunk."""

    def _open(self, stream: BinaryIO) -> Any:
        from pyarrow import parquet  # noqa: PLC0415

        return parquet.ParquetWriter(stream, self._schema)
