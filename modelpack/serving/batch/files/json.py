"""A JSON document as POST /predict takes and gives it. It is read whole: for many rows, JSON lines
are the better form.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, BinaryIO, Callable, Collection, Iterator, Sequence

from ...data import json_body, results
from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...media import json as media
from ...problems import Problem
from ...service import Parse, Service
from .. import chunks
from ..chunks import Chunk, ChunkResult, take

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
        return service.decode_json(lambda parse: chunks.without(self._some(parse), extra), ignored)

    def _some(self, parse: Parse) -> list[Any]:
        return list(take(self._rows(parse), self._places))

    def take(self, indexes: Sequence[int]) -> Part:
        return Part(self._rows, take(self._places, indexes))

    @property
    def names(self) -> list[str] | None:
        return chunks.names(self._some(json_body.parse_strict))

    def values(self, index: int, name: str) -> Any:
        return [chunks.value(row, index, name) for row in self._some(json_body.parse_strict)]


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
        count = len(rows(json_body.parse))
    except ValueError:
        count = len(rows(json_body.parse_strict))
    for start in range(0, count, most):
        yield Part(rows, range(start, min(start + most, count)))


class Writer:
    """{"predictions": [...], "probabilities": [...]}. The first are written as they come; of what
    follows them the text is kept until then.
    """

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        if not {"predictions", "probabilities"}.isdisjoint(like.kept):
            raise Problem(400, "In JSON, no column called predictions or probabilities is kept.")
        self._stream = stream
        self._also: dict[str, list[bytes]] = {name: [] for name, _ in _also(like)}
        self._begun = False
        stream.write(b'{"predictions":[')

    def write(self, answered: ChunkResult) -> None:
        inside = _inside(answered.answer.predictions)
        self._stream.write(b"," + inside if self._begun else inside)
        self._begun = True
        for name, values in _also(answered):
            self._also[name].append(_inside(values))

    def close(self) -> None:
        self._stream.write(b"]")
        for name, parts in self._also.items():
            self._stream.write(b"," + results.dump(name) + b":[" + b",".join(parts) + b"]")
        self._stream.write(b"}\n")


def _also(answered: ChunkResult) -> Iterator[tuple[str, Any]]:
    if answered.answer.probabilities is not None:
        yield "probabilities", answered.answer.probabilities
    yield from answered.kept.items()


def _inside(values: Any) -> bytes:
    return results.dump(chunks.listed(values))[1:-1]
