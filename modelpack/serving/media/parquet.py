"""A Parquet file, its columns named as the inputs are.

What it will take in memory is told by its footer and, since that may lie, by the header of each
page: they are looked at before a page is decompressed.
"""

from __future__ import annotations

import struct
from typing import Any, Iterator, Mapping

from .. import answers, arrowed, thrift
from ..columns import Rows
from ..problems import Problem
from ..service import Service

TYPES = ("application/vnd.apache.parquet", "application/x-parquet")
NEEDS = "pyarrow"

MAGIC = b"PAR1"
FOOTER_BYTES, FOOTER_BYTES_AN_INPUT = 2**16, 2**11
MOST_PAGES = 20_000
PADDING = 100  # that a reader grants the chunks of old writers
# Of PageHeader: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
UNCOMPRESSED, COMPRESSED, DATA, DICTIONARY, DATA_2 = 2, 3, 5, 7, 8
ENCODING = {DATA: 2, DICTIONARY: 2, DATA_2: 4}
BOUNDED = {0, 2, 3, 4, 8, 9}
"""The encodings whose values are no longer than the page: with the others, each may repeat the
one before."""


def read(service: Service, body: bytes, parameters: Mapping[str, str] = {}) -> Rows:  # noqa: ARG001
    """The rows of the file.

    Raises:
        Problem: 400 it is no such file, 413 it is too large once it is decompressed, which is known
            before, 415 it has an encoding that could grow; as `arrowed.rows`.
    """
    import pyarrow as pa  # noqa: PLC0415

    try:
        table = _table(service, body)
    except (pa.ArrowException, ValueError, OSError, NotImplementedError, KeyError) as error:
        raise Problem(400, "The body is not a Parquet file.") from error
    return arrowed.rows(service, table)


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

    _check_footer(service, body)
    footer = parquet.read_metadata(pa.BufferReader(body))
    if footer.num_rows > service.limits.rows:
        detail = f"{footer.num_rows} rows came; a request takes {service.limits.rows}."
        raise Problem(413, detail)
    _check_pages(service, body, footer)
    texts = [column.path for column in _columns(footer) if column.physical_type == "BYTE_ARRAY"]
    file = parquet.ParquetFile(
        pa.BufferReader(body),
        metadata=footer,
        read_dictionary=texts,  # else a long text would be made once a row
        pre_buffer=False,
    )
    return file.read(use_threads=False)


def _check_footer(service: Service, body: bytes) -> None:
    """Its structs take up to a hundred times their bytes in memory."""
    if len(body) < 12 or body[:4] != MAGIC or body[-4:] != MAGIC:
        raise ValueError("no magic numbers")
    (length,) = struct.unpack("<I", body[-8:-4])
    inputs = len(service.manifest.inputs) or 1000
    if length > FOOTER_BYTES + FOOTER_BYTES_AN_INPUT * inputs:
        raise Problem(413, f"The footer of the Parquet file is too large for {inputs} inputs.")


def _columns(footer: Any) -> Iterator[Any]:
    return (footer.schema.column(index) for index in range(footer.num_columns))


def _check_pages(service: Service, body: bytes, footer: Any) -> None:
    """Looks at every page that would be read."""
    if any(column.max_repetition_level for column in _columns(footer)):
        raise Problem(422, "A column of the Parquet file holds lists. Send numbers and texts.")
    room, pages = service.limits.body_bytes, 0
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            for header in _pages(body, footer.row_group(group).column(index)):
                room -= header[UNCOMPRESSED]
                pages += 1
                if room < 0 or pages > MOST_PAGES:
                    limit = service.limits.body_bytes
                    detail = f"The Parquet file holds more than {limit} bytes, or too many pages."
                    raise Problem(413, detail)


def _pages(body: bytes, chunk: Any) -> Iterator[Mapping[int, Any]]:
    """The headers of a column's pages, as a reader meets them."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    end = min(start + chunk.total_compressed_size + PADDING, len(body))
    seen = 0
    while seen < chunk.num_values and start < end:
        header, start = thrift.read_struct(body, start)
        if min(header[UNCOMPRESSED], header[COMPRESSED]) < 0:
            raise ValueError("a page of negative size")
        seen += _checked(header)
        start += header[COMPRESSED]
        yield header


def _checked(header: Mapping[int, Any]) -> int:
    """How many values of the column are in a page."""
    for kind, encoding in ENCODING.items():
        if kind not in header:
            continue
        if header[kind][encoding] not in BOUNDED:
            raise Problem(415, "Send Parquet without delta encodings: they could grow too large.")
        if kind == DICTIONARY and 4 * header[kind][1] > header[UNCOMPRESSED]:
            raise ValueError("a dictionary of more values than fit in its page")
    return sum(header[kind][1] for kind in (DATA, DATA_2) if kind in header)
