"""JSON lines, see `media.jsonlines`."""

from __future__ import annotations

from itertools import islice
from typing import Any, BinaryIO, Collection, Iterator, Sequence

from ...data import json_body, results, validation
from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...media import jsonlines as media
from ...problems import Problem
from ...service import Parse, Service
from .. import chunks, ranges
from ..chunks import Chunk, ChunkResult, take
from ..ranges import Range

EXTENSIONS = (".jsonl", ".ndjson")
START = None
SPACES = (b" ", b"\t", b"\n", b"\r", b"\v", b"\f")


class Lines(Chunk):
    def __init__(self, texts: Sequence[bytes], lines: Sequence[int], service: Service) -> None:
        self._texts = texts
        self._service = service
        self.lines = lines

    def __len__(self) -> int:
        return len(self._texts)

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        return service.decode_json(lambda parse: chunks.without(self._rows(parse), extra), ignored)

    def _rows(self, parse: Parse) -> list[Any]:
        rows = []
        for index, text in enumerate(self._texts):
            try:
                rows.append(parse(text, self._service.limits))
            except Problem as problem:
                got = f"other text ({problem.detail})"
                error = {"row": index, "column": None, "expected": "JSON", "got": got}
                raise validation.validation_problem([error]) from problem
        return rows

    def take(self, indexes: Sequence[int]) -> Lines:
        return Lines(take(self._texts, indexes), take(self.lines, indexes), self._service)

    @property
    def names(self) -> list[str] | None:
        return chunks.names(self._readable_rows())

    def values(self, index: int, name: str) -> Any:
        return [chunks.value(row, index, name) for row in self._readable_rows()]

    def _readable_rows(self) -> list[Any]:
        """Return the rows, None for those that are not JSON."""
        return [_read(text, self._service) for text in self._texts]


def _read(text: bytes, service: Service) -> Any:
    try:
        return json_body.parse_strict(text, service.limits)
    except Problem:
        return None


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    """Yield chunks of lines, without blank ones."""
    yield from _chunks(_records(stream), max_rows, service)


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(stream, 1) if not line.isspace())


def _chunks(lines: Iterator[tuple[int, bytes]], max_rows: int, service: Service) -> Iterator[Chunk]:
    while True:
        some = list(islice(lines, max_rows))
        if not some:
            return
        numbers, texts = zip(*some)
        yield Lines(texts, numbers, service)


def split(stream: BinaryIO, size: int, service: Service, header: str | None) -> list[Range]:  # noqa: ARG001
    """Return ranges of `size` rows. The stream is at its start."""
    return ranges.split_lines(stream, 1, size, _is_plain, _records)


def read_range(
    stream: BinaryIO,
    part: Range,
    max_rows: int,
    service: Service,
    header: str | None,  # noqa: ARG001
) -> Iterator[Chunk]:
    """Yield chunks of a range of rows."""
    stream.seek(part.offset)
    records = ((part.line - 1 + number, line) for number, line in _records(stream))
    yield from _chunks(islice(records, part.rows), max_rows, service)


def count_written(stream: BinaryIO) -> int:
    """Return the number of rows that `Writer` wrote."""
    return ranges.count_lines(stream, _is_plain, _records)


def _is_plain(block: bytes) -> bool:
    """Return whether no line of a block is blank, by its first character."""
    return not block[:1].isspace() and not any(b"\n" + space in block for space in SPACES)


class Writer:
    """Writes a line {"prediction": ..., "probabilities": {...}} for each row, after its copies."""

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        self._stream = stream
        like.columns()

    def write(self, answered: ChunkResult) -> None:
        lines = media.write(answered.answer)
        self._stream.write(_merged(answered, lines) if answered.kept else lines)

    def close(self) -> None:
        """Nothing follows the last line."""


def _merged(answered: ChunkResult, lines: bytes) -> bytes:
    rows = zip(*(chunks.to_list(values) for values in answered.kept.values()))
    kept = (results.dump(dict(zip(answered.kept, row)))[:-1] for row in rows)
    return b"".join(a + b"," + b[1:] for a, b in zip(kept, lines.splitlines(keepends=True)))
