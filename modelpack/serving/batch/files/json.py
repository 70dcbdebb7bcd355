"""A JSON document as POST /predict takes and gives it. It is read whole: for many rows, JSON lines
are the better form.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, BinaryIO, Callable, Collection, Iterator, Sequence

from ... import answers, wire
from ...columns import Rows
from ...extras import Extras
from ...media import json as media
from ...problems import Problem
from ...service import Parse, Service
from ..answered import Answered
from ..chunks import Chunk, taken
from . import objects

EXTENSIONS = (".json",)
START = None
ANY = 2**62


class Part(Chunk):
    """Rows of a document, by their places. `rows`: all that `parse` makes of it."""

    def __init__(self, rows: Callable[[Parse], list[Any]], places: Sequence[int]) -> None:
        self._rows = rows
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        return service.decode(lambda parse: objects.without(self._some(parse), extra), ignored)

    def _some(self, parse: Parse) -> list[Any]:
        return list(taken(self._rows(parse), self._places))

    def take(self, indexes: Sequence[int]) -> Part:
        return Part(self._rows, taken(self._places, indexes))

    @property
    def names(self) -> list[str] | None:
        return objects.names(self._some(wire.parse_exactly))

    def values(self, index: int, name: str) -> Any:
        return [objects.value(row, index, name) for row in self._some(wire.parse_exactly)]


def read(stream: BinaryIO, most: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    """Raises:
    Problem: 400 it is no JSON, 422 it holds no rows.
    """
    body = stream.read()
    limits = replace(service.limits, rows=ANY)  # those of a chunk are counted later

    @lru_cache(maxsize=2)
    def rows(parse: Parse) -> list[Any]:
        return media.instances(parse(body, limits))

    try:
        count = len(rows(wire.parse))
    except ValueError:
        count = len(rows(wire.parse_exactly))
    for start in range(0, count, most):
        yield Part(rows, range(start, min(start + most, count)))


class Writer:
    """{"predictions": [...], "probabilities": [...]}. The first are written as they come; of what
    follows them the text is kept until then.
    """

    def __init__(self, stream: BinaryIO, like: Answered) -> None:
        if not {"predictions", "probabilities"}.isdisjoint(like.kept):
            raise Problem(400, "In JSON, no column called predictions or probabilities is kept.")
        self._stream = stream
        self._also: dict[str, list[bytes]] = {name: [] for name, _ in _also(like)}
        self._begun = False
        stream.write(b'{"predictions":[')

    def write(self, answered: Answered) -> None:
        inside = _inside(answered.answer.predictions)
        self._stream.write(b"," + inside if self._begun else inside)
        self._begun = True
        for name, values in _also(answered):
            self._also[name].append(_inside(values))

    def close(self) -> None:
        self._stream.write(b"]")
        for name, parts in self._also.items():
            self._stream.write(b"," + answers.dump(name) + b":[" + b",".join(parts) + b"]")
        self._stream.write(b"}\n")


def _also(answered: Answered) -> Iterator[tuple[str, Any]]:
    if answered.answer.probabilities is not None:
        yield "probabilities", answered.answer.probabilities
    yield from answered.kept.items()


def _inside(values: Any) -> bytes:
    return answers.dump(objects.listed(values))[1:-1]
