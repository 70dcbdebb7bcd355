"""A JSON document as in requests and responses of POST /predict.

The document is read completely. JSON lines are better for many rows.
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
    """Some rows of a document. `rows`: returns all rows, parsed with a function."""

    def __init__(self, rows: Callable[[Parse], list[Any]], indexes: Sequence[int]) -> None:
        self._rows = rows
        self._indexes = indexes

    def __len__(self) -> int:
        return len(self._indexes)

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        return service.decode_json(lambda parse: chunks.without(self._some(parse), extra), ignored)

    def _some(self, parse: Parse) -> list[Any]:
        return list(take(self._rows(parse), self._indexes))

    def take(self, indexes: Sequence[int]) -> Part:
        return Part(self._rows, take(self._indexes, indexes))

    @property
    def names(self) -> list[str] | None:
        return chunks.names(self._some(json_body.parse_strict))

    def values(self, index: int, name: str) -> Any:
        return [chunks.value(row, index, name) for row in self._some(json_body.parse_strict)]


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    """Yield chunks of a document.

    Raises:
        Problem: 400, the file is not JSON. 422, it contains no rows.
    """
    body = stream.read()
    limits = replace(service.limits, rows=ANY)  # the rows of a chunk are counted later

    @lru_cache(maxsize=2)
    def rows(parse: Parse) -> list[Any]:
        return media.instances(parse(body, limits))

    try:
        count = len(rows(json_body.parse))
    except ValueError:
        count = len(rows(json_body.parse_strict))
    for start in range(0, count, max_rows):
        yield Part(rows, range(start, min(start + max_rows, count)))


class Writer:
    """Writes {"predictions": [...], "probabilities": [...]}.

    Predictions are written immediately, the text of other members at the end.
    """

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        if not {"predictions", "probabilities"}.isdisjoint(like.kept):
            detail = "The columns predictions and probabilities cannot be kept in JSON."
            raise Problem(400, detail)
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
    return results.dump(chunks.to_list(values))[1:-1]
