"""A stream of Arrow's IPC format, its columns named as the inputs are."""

from __future__ import annotations

from typing import Any, Mapping

from .. import answers, arrowed, ipc
from ..columns import Rows
from ..extras import Extras
from ..problems import Problem
from ..service import Service

TYPES = ("application/vnd.apache.arrow.stream",)
NEEDS = "pyarrow"

MORE_MESSAGES = 1000  # than rows: the schema, dictionaries


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """The rows of all batches.

    Raises:
        Problem: 400 it is no such stream, 413 it is too large once it is decompressed, which is
            known before, 415 its dictionaries have deltas; as `arrowed.rows`.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        _check_size(service, body)
        table: Any = pa.ipc.open_stream(body).read_all()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise Problem(400, "The body is not a stream of Arrow's IPC format.") from error
    return arrowed.rows(service, table, ignored)


def write(answer: answers.Answer, parameters: Mapping[str, str] = {}) -> bytes:  # noqa: ARG001
    """A table of `prediction`, and `probability_setosa`... if asked for."""
    import pyarrow as pa  # noqa: PLC0415

    table = arrowed.table(answer)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _check_size(service: Service, body: bytes) -> None:
    limits = service.limits
    rows = size = 0
    for number, batch in enumerate(ipc.batches(body)):
        rows, size = rows + batch.rows, size + batch.bytes
        if batch.delta:
            raise Problem(
                415, "Send Arrow without deltas of dictionaries: they could grow too large."
            )
        if rows > limits.rows or number > limits.rows + MORE_MESSAGES:
            raise Problem(413, f"More rows came than the {limits.rows} that a request takes.")
        if size > limits.body_bytes:
            raise Problem(413, f"The stream is larger than {limits.body_bytes} bytes.")
