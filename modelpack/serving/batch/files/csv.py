"""CSV, see `media.csv`. A chunk is the body of a request, with the names in the first line."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from itertools import chain, islice
from typing import Any, BinaryIO, Collection, Iterator, Sequence, Tuple

from ...data import validation
from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...media import csv as media
from ...problems import Problem
from ...service import Service
from .. import ranges
from ..chunks import Chunk, ChunkResult, take
from ..ranges import Range

EXTENSIONS = (".csv",)
START = None
HEADER_HINT = "Use --header present, or --header absent."

Record = Tuple[int, bytes]


class Lines(Chunk):
    """Lines of a file. `head`: its first line. `names`: that line contains names."""

    def __init__(
        self, head: bytes, names: bool, records: Sequence[bytes], lines: Sequence[int]
    ) -> None:
        self._head = head
        self._header = _cells(head) if names else None
        self._records = records
        self._cells: list[list[str]] = []
        self.lines = lines

    def __len__(self) -> int:
        return len(self._records)

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        if self._header is None:
            _check_width(0, _cells(self._records[0]), len(_cells(self._head)))
            return media.read(service, b"".join(self._records), {"header": "absent"}, ignored)
        body = self._head + b"".join(self._records)
        if not set(extra).isdisjoint(self._header):
            body = self._body_without(extra, self._header)
        return media.read(service, body, {"header": "present"}, ignored)

    def _body_without(self, extra: Collection[str], header: list[str]) -> bytes:
        inputs = [index for index, name in enumerate(header) if name not in extra]
        text = io.StringIO()
        writer = csv.writer(text)
        for index, row in enumerate([header, *self.cells], -1):
            _check_width(index, row, len(header))
            writer.writerow([row[position] for position in inputs])
        return text.getvalue().encode()

    @property
    def cells(self) -> list[list[str]]:
        """The texts of each row."""
        if not self._cells:
            self._cells = [_cells(record) for record in self._records]
        return self._cells

    def take(self, indexes: Sequence[int]) -> Lines:
        records = take(self._records, indexes)
        return Lines(self._head, self._header is not None, records, take(self.lines, indexes))

    @property
    def names(self) -> list[str] | None:
        return self._header

    def values(self, index: int, name: str) -> Any:
        position = self._header.index(name) if self._header and name in self._header else index
        return [row[position] if position < len(row) else None for row in self.cells]


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:
    """Yield chunks of the lines below the names, without empty lines."""
    records = _records(stream)
    first = next(records, None)
    if first is None:
        return
    names = _are_names(service, _cells(first[1]), header)
    yield from _chunks(first[1], names, records if names else chain([first], records), max_rows)


def _chunks(head: bytes, names: bool, records: Iterator[Record], max_rows: int) -> Iterator[Chunk]:
    while True:
        some = list(islice(records, max_rows))
        if not some:
            return
        numbers, lines = zip(*some)
        yield Lines(head, names, lines, numbers)


def split(stream: BinaryIO, size: int, service: Service, header: str | None) -> list[Range]:
    """Return ranges of `size` rows. The stream is at its start."""
    first = next(_records(stream), None)
    if first is None:
        return []
    line, head = first
    if _are_names(service, _cells(head), header):
        line += max(1, head.count(b"\n"))
    else:
        stream.seek(stream.tell() - len(head))
    return ranges.split_lines(stream, line, size, _is_plain, _records)


def read_range(
    stream: BinaryIO, part: Range, max_rows: int, service: Service, header: str | None
) -> Iterator[Chunk]:
    """Yield chunks of a range of rows. The stream is at its start."""
    _, head = next(_records(stream))
    names = _are_names(service, _cells(head), header)
    stream.seek(part.offset)
    records = ((part.line - 1 + number, record) for number, record in _records(stream))
    yield from _chunks(head, names, islice(records, part.rows), max_rows)


def count_written(stream: BinaryIO) -> int:
    """Return the number of rows that `Writer` wrote."""
    next(_records(stream))
    return ranges.count_lines(stream, _is_plain, _records)


def _is_plain(block: bytes) -> bool:
    """Return whether each line of a block is a record: none has quotes, and none is empty."""
    return not (b'"' in block or block[:1] in b"\r\n" or b"\n\n" in block or b"\n\r" in block)


def _check_width(row: int, cells: list[str], width: int) -> None:
    if len(cells) != width:
        raise validation.width_problem(row, width, len(cells))


def _are_names(service: Service, cells: list[str], header: str | None) -> bool:
    try:
        decoder = service.decoder(len(cells))
        return media.has_names(decoder.fields, decoder.stored_names(cells), header)
    except Problem as problem:
        raise Problem(
            problem.status, problem.detail.replace(media.HEADER_HINT, HEADER_HINT)
        ) from problem


def _records(stream: BinaryIO) -> Iterator[Record]:
    """Yield the line number and the bytes of each record. Quoted cells may contain line ends.

    Raises:
        Problem: 400, a line ends with a carriage return alone.
    """
    lines = iter(stream)
    number = 1
    for line in lines:
        record = [line] if b'"' not in line else _quoted(line, lines)
        if b"\r" in line[:-2] and b'"' not in line:
            detail = f"Line {number} contains a carriage return, but lines must end in a newline."
            raise Problem(400, detail)
        if line.strip(b"\r\n"):
            yield number, b"".join(record)
        number += len(record)


def _quoted(first: bytes, lines: Iterator[bytes]) -> list[bytes]:
    """Return the lines of one record."""
    record: list[bytes] = []

    def texts() -> Iterator[str]:
        for line in chain([first], lines):
            record.append(line)
            yield line.decode("utf-8", "surrogateescape")

    with suppress(csv.Error):  # reported when the record is parsed
        next(csv.reader(texts(), strict=True))
    return record


def _cells(record: bytes) -> list[str]:
    try:
        return next(csv.reader([record.decode("utf-8-sig")], strict=True))
    except UnicodeDecodeError as error:
        raise Problem(400, "The body is not text in UTF-8.") from error
    except csv.Error as error:
        raise Problem(400, f"The body is not CSV: {error}.") from error


class Writer:
    """Writes a line of names, and a line for each row."""

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        self._stream = stream
        self._stream.write(media.table({name: [] for name in like.columns()}, header=True))

    def write(self, answered: ChunkResult) -> None:
        self._stream.write(media.table(answered.columns(), header=False))

    def close(self) -> None:
        """Nothing follows the last line."""
