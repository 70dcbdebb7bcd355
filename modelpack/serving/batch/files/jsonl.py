"""JSON lines: one JSON value a line, of the same forms as a row of a request."""

from __future__ import annotations

from itertools import islice
from typing import Any, BinaryIO, Iterator

import orjson

from ... import answers, wire
from ...problems import Problem
from ...service import Service
from ..answers import Answered
from ..chunks import Chunk, Listed

EXTENSIONS = (".jsonl", ".ndjson")


def read(stream: BinaryIO, most: int, service: Service) -> Iterator[Chunk]:
    """Lines of nothing but spaces are no rows."""
    lines = ((number, line) for number, line in enumerate(stream, 1) if not line.isspace())
    while True:
        taken = list(islice(lines, most))
        if not taken:
            return
        yield _chunk([line for _, line in taken], [number for number, _ in taken], service)


def _chunk(texts: list[bytes], numbers: list[int], service: Service) -> Chunk:
    def exactly(index: int) -> Any:
        try:
            return wire.parse_exactly(texts[index], service.limits)
        except Problem as problem:
            return problem

    try:
        return Listed(list(map(orjson.loads, texts)), exactly, lines=numbers)
    except ValueError:
        rows = [exactly(index) for index in range(len(texts))]
        return Listed(rows, exactly, plain=False, lines=numbers)


class Writer:
    """A line a row: {"prediction": ..., "probabilities": {...}}, after what was kept of it."""

    def __init__(self, stream: BinaryIO, first: Answered) -> None:  # noqa: ARG002 - no header
        self._stream = stream

    def write(self, answered: Answered) -> None:
        names = [name for name, _ in answered.kept] + ["prediction"]
        values: list[Any] = [column for _, column in answered.kept] + [answered.predictions]
        if answered.probabilities is not None:
            names.append("probabilities")
            values.append(answered.probabilities)
        self._stream.writelines(answers.dump(dict(zip(names, row))) + b"\n" for row in zip(*values))

    def close(self) -> None:
        """Nothing follows the last line."""
