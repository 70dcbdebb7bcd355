"""A Parquet file, its columns named as the inputs are. What it will take in memory is known before
a page is decompressed.
"""

from __future__ import annotations

from typing import Any, Mapping

from .. import answers, arrowed, pages
from ..columns import Rows
from ..extras import Extras
from ..problems import Problem
from ..service import Service

TYPES = ("application/vnd.apache.parquet", "application/x-parquet")
NEEDS = "pyarrow"

FOOTER_BYTES, FOOTER_BYTES_AN_INPUT = 2**16, 2**11  # its structs take a hundred times as much
MOST_PAGES = 20_000
BOUNDED = {None, 0, 2, 3, 4, 8, 9}
"""The encodings whose values are no longer than the page. With the others, the deltas, each may
repeat the one before.
"""


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """The rows of the file.

    Raises:
        Problem: 400 it is no such file, 413 it is too large once it is decompressed, 415 it has an
            encoding that could grow; as `arrowed.rows`.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        table = _table(service, body)
    except (pa.ArrowException, ValueError, OSError, NotImplementedError, KeyError) as error:
        raise Problem(400, "The body is not a Parquet file.") from error
    return arrowed.rows(service, table, ignored)


def write(answer: answers.Answer, parameters: Mapping[str, str] = {}) -> bytes:  # noqa: ARG001
    """A table of `prediction`, and `probability_setosa`... if asked for."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    sink = pa.BufferOutputStream()
    parquet.write_table(arrowed.table(answer), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _table(service: Service, body: bytes) -> Any:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    texts = [column.name for column in _checked(service, body) if column.text]
    file = parquet.ParquetFile(
        pa.BufferReader(body),
        read_dictionary=texts,  # else a long text would be made once a row
        pre_buffer=False,
    )
    return file.read(use_threads=False)


def _checked(service: Service, body: bytes) -> list[pages.Column]:
    """The columns of a file that can be read without harm."""
    inputs = len(service.manifest.inputs) or 1000
    try:
        footer = pages.footer(body, FOOTER_BYTES + FOOTER_BYTES_AN_INPUT * inputs)
    except OverflowError as error:
        detail = f"The footer of the Parquet file is too large for {inputs} inputs."
        raise Problem(413, detail) from error
    rows, columns = pages.rows(footer), pages.columns(footer)
    if rows > service.limits.rows:
        raise Problem(413, f"{rows} rows came; a request takes {service.limits.rows}.")
    if columns is None:
        raise Problem(422, "A column of the Parquet file holds lists or records.")
    room = service.limits.body_bytes
    for number, page in enumerate(pages.pages(body, footer, columns), 1):
        room -= page.bytes
        if page.encoding not in BOUNDED:
            raise Problem(415, "Send Parquet without delta encodings: they could grow too large.")
        if room < 0 or number > MOST_PAGES:
            limit = service.limits.body_bytes
            raise Problem(413, f"The Parquet file holds over {limit} bytes, or too many pages.")
    return columns
