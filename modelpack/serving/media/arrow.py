"""Arrow IPC streams, whose size is checked first."""

from __future__ import annotations

import struct
from typing import Any, Iterator, Mapping, NamedTuple

import numpy as np

from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Service
from . import arrow_tables

TYPES = ("application/vnd.apache.arrow.stream",)
NEEDS = "pyarrow"

MAX_OTHER_MESSAGES = 1000  # the schema and dictionaries


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """Decode the rows of all batches.

    Raises:
        Problem: 400, the body is not such a stream. 413, it is too large when decompressed. 415,
            its dictionaries have deltas. See also `arrow_tables.rows`.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        _check_size(service, body)
        table: Any = pa.ipc.open_stream(body).read_all()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise Problem(400, "The body is not a stream in Arrow's IPC format.") from error
    return arrow_tables.rows(service, table, ignored)


def write(
    prediction: results.Prediction,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
) -> bytes:
    """Return a table with `prediction`, and `probability_setosa`... if any."""
    import pyarrow as pa  # noqa: PLC0415

    table = arrow_tables.table(prediction)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _check_size(service: Service, body: bytes) -> None:
    limits = service.limits
    rows = size = 0
    for number, batch in enumerate(batches(body)):
        rows, size = rows + batch.rows, size + batch.bytes
        if batch.delta:
            raise Problem(
                415, "Send Arrow without deltas of dictionaries: they could grow too large."
            )
        if rows > limits.rows or number > limits.rows + MAX_OTHER_MESSAGES:
            raise Problem(413, f"Expected at most {limits.rows} rows.")
        if size > limits.body_bytes:
            raise Problem(413, f"The stream is larger than {limits.body_bytes} bytes.")


# See https://arrow.apache.org/docs/format/Columnar.html, Message.fbs and Schema.fbs, and
# https://flatbuffers.dev/internals/ for the layout of FlatBuffers.
CONTINUATION = 0xFFFFFFFF
DICTIONARY, RECORDS = 2, 3  # in the union MessageHeader
V5 = 4  # in the enumeration MetadataVersion
RAW = -1  # in place of the size of a compressed buffer


class Batch(NamedTuple):
    """A message of a stream.

    Attributes:
        rows: The number of rows, 0 for a dictionary.
        bytes: Decompressed bytes of the buffers.
        delta: The message extends a dictionary, which readers copy.
    """

    rows: int
    bytes: int
    delta: bool = False


def batches(stream: bytes) -> Iterator[Batch]:
    """Yield the batches of a stream, with 0 rows and bytes for other messages.

    Raises:
        ValueError: The stream is malformed.
    """
    position = 0
    try:
        while position < len(stream):
            mark, size = struct.unpack_from("<Ii", stream, position)
            if mark == CONTINUATION and size == 0:
                return
            if mark != CONTINUATION or size < 0:
                raise ValueError("not the beginning of a message")
            message = Table.root(stream, position + 8, size)
            position += 8 + size
            body = memoryview(stream)[position : position + message.integer("<q", 3)]
            position += message.integer("<q", 3)
            if message.integer("<q", 3) < 0 or position > len(stream):
                raise ValueError("the stream ends within a message")
            yield _batch(message, body)
    except (struct.error, IndexError) as error:
        raise ValueError("broken metadata") from error


class Table:
    """A table of FlatBuffers at `position` of `data`."""

    def __init__(self, data: memoryview, position: int) -> None:
        self._data = data
        self._position = position
        self.names = position - self._read("<i", position)
        self._slots = (self._read("<H", self.names) - 4) // 2

    @classmethod
    def root(cls, data: bytes, start: int, size: int) -> Table:
        """Return the root table of a message."""
        part = memoryview(data)[start : start + size]
        return cls(part, struct.unpack_from("<I", part)[0])

    def has(self, slot: int) -> bool:
        """Return whether a field is present."""
        return self._position_of(slot) > 0

    def integer(self, form: str, slot: int) -> int:
        """Return an integer, 0 if it is missing."""
        position = self._position_of(slot)
        return self._read(form, position) if position else 0

    def table(self, slot: int) -> Table | None:
        """Return a table, or None if it is missing."""
        position = self._position_of(slot)
        return Table(self._data, position + self._read("<I", position)) if position else None

    def pairs(self, slot: int) -> np.ndarray:
        """Return a vector of structs of two integers as int64 (n, 2)."""
        position = self._position_of(slot)
        if not position:
            return np.empty((0, 2), np.int64)
        start = position + self._read("<I", position)
        count = self._read("<I", start)
        return np.frombuffer(self._data, "<i8", 2 * count, start + 4).reshape(-1, 2)

    def _position_of(self, slot: int) -> int:
        if slot >= self._slots:
            return 0
        offset = self._read("<H", self.names + 4 + 2 * slot)
        return self._position + offset if offset else 0

    def _read(self, form: str, position: int) -> int:
        if position < 0:
            raise IndexError(position)
        value: int = struct.unpack_from(form, self._data, position)[0]
        return value


def _batch(message: Table, body: memoryview) -> Batch:
    if message.integer("<h", 0) < V5 and message.has(4):
        # In Arrow 0.17, custom metadata declared compression, and readers still support it.
        raise ValueError("custom metadata of old")
    kind, header = message.integer("<B", 1), message.table(2)
    if kind not in (DICTIONARY, RECORDS) or header is None:
        return Batch(0, 0)
    records = header.table(1) if kind == DICTIONARY else header
    if records is None:
        return Batch(0, 0)
    rows = records.integer("<q", 0) if kind == RECORDS else 0
    delta = kind == DICTIONARY and header.integer("<B", 2) > 0
    buffers = records.pairs(2)
    if not records.has(3):  # no compression
        return Batch(rows, len(body), delta)
    return Batch(rows, _decompressed_size(buffers, np.frombuffer(body, np.uint8)), delta)


def _decompressed_size(buffers: np.ndarray, body: Any) -> int:
    """Return the decompressed size. Each compressed buffer begins with it."""
    starts = buffers[buffers[:, 1] > 0, 0]
    if ((starts < 0) | (starts > len(body) - 8)).any():
        raise ValueError("a buffer outside its message")
    sizes = body[starts[:, None] + np.arange(8)].view("<i8")
    if (sizes < RAW).any():
        raise ValueError("a buffer of negative size")
    return len(body) + int(sizes.sum(dtype=float))
