"""Comma-separated values (RFC 4180) in UTF-8, with a line of names."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO, Collection, Iterator, Sequence

from ... import misfits
from ...columns import Rows
from ...problems import Problem
from ...service import Service
from .. import cells
from ..answers import Answered, columns
from ..chunks import Chunk, taken

EXTENSIONS = (".csv",)
START = b""
NAME = "csv"


@dataclass(frozen=True)
class Cells(Chunk):
    """Rows of texts. `header`: the names of the columns, None if there are none."""

    header: list[str] | None
    rows: list[list[str]]
    lines: Sequence[int] | None

    def __len__(self) -> int:
        return len(self.rows)

    def decode(self, service: Service, extra: Collection[str]) -> Rows:
        width = len(self.header or service.manifest.inputs or self.rows[0])
        for index, row in enumerate(self.rows):
            if len(row) != width:
                told = {"column": None, "expected": f"{width} values", "got": str(len(row))}
                raise misfits.problem([{"row": index, **told}])
        names, texts = self.header, list(zip(*self.rows))
        if names is not None and extra:
            inputs = [index for index, name in enumerate(names) if name not in extra]
            names, texts = [names[i] for i in inputs], [texts[i] for i in inputs]
        return service.table(names, cells.columns(service, names, texts))

    def take(self, indexes: Sequence[int]) -> Cells:
        return Cells(self.header, taken(self.rows, indexes), taken(self.lines, indexes))

    @property
    def names(self) -> list[str] | None:
        return self.header

    def values(self, index: int, name: str) -> Any:
        place = self.header.index(name) if self.header is not None else index
        return [row[place] if place < len(row) else None for row in self.rows]


def read(stream: BinaryIO, most: int, service: Service) -> Iterator[Chunk]:
    """Chunks of the lines below the names. The first line are names, unless the model has none of
    its own and the line is all numbers. Empty lines are no rows.

    Raises:
        Problem: 400 it is no csv in UTF-8; it names the line.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    text = io.TextIOWrapper(stream, "utf-8-sig", newline="")
    lines = _Lines(text)
    try:
        yield from _chunks(lines, most, service)
    except (csv.Error, UnicodeDecodeError) as error:
        said = "it is not text in UTF-8" if isinstance(error, UnicodeError) else str(error)
        raise Problem(400, f"Line {lines.number} is no csv: {said}.") from error
    finally:
        text.detach()


class _Lines:
    """Iterates over (number of its first line, cells) of each record."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._reader = csv.reader(text, strict=True)
        self.number = 1

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for record in self._reader:
            if record:
                yield self.number, record
            self.number = self._reader.line_num + 1


def _chunks(lines: _Lines, most: int, service: Service) -> Iterator[Chunk]:
    records = iter(lines)
    first = next(records, None)
    if first is None:
        return
    header: list[str] | None = first[1]
    if not cells.are_names(first[1], service):
        records, header = chain([first], records), None
    while True:
        taken_ = list(islice(records, most))
        if not taken_:
            return
        numbers, rows = zip(*taken_)
        yield Cells(header, list(rows), numbers)


class Writer:
    """A line of names, then a line a row; floats in their shortest form that reads back equal."""

    def __init__(self, stream: BinaryIO, first: Answered) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._first = first
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow([name for name, _ in columns(first, first)])

    def write(self, answered: Answered) -> None:
        self._csv.writerows(zip(*(values for _, values in columns(answered, self._first))))

    def close(self) -> None:
        self._text.detach()
