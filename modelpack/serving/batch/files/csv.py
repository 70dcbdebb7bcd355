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
from ..chunks import Chunk, ChunkResult, take

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
    rest = records if names else chain([first], records)
    while True:
        some = list(islice(rest, max_rows))
        if not some:
            return
        numbers, lines = zip(*some)
        yield Lines(first[1], names, lines, numbers)


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
