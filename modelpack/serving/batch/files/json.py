"""A JSON document as POST /predict takes and gives it. It is read whole: for many rows, JSON lines
are the better form.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, BinaryIO, Iterator

from ... import answers, wire
from ...dialects.predict import instances
from ...service import Service
from ..answers import Answered
from ..chunks import Chunk, Listed

EXTENSIONS = (".json",)
ANY = 2**62


def read(stream: BinaryIO, most: int, service: Service) -> Iterator[Chunk]:
    body = stream.read()
    limits = replace(service.limits, rows=ANY)  # of the document, not of a chunk

    @lru_cache(maxsize=1)
    def exact() -> list[Any]:
        return instances(wire.parse_exactly(body, limits))

    try:
        plain, rows = True, instances(wire.parse(body, limits))
    except ValueError:
        plain, rows = False, exact()
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        yield Listed(part, lambda index, start=start: exact()[start + index], plain)  # type: ignore[misc]


class Writer:
    """{"predictions": [...], "probabilities": [...]}. The first are written as they come; of what
    follows them the text is kept until then.
    """

    def __init__(self, stream: BinaryIO, first: Answered) -> None:
        self._stream = stream
        self._also: dict[str, list[bytes]] = {name: [] for name, _ in _also(first)}
        self._begun = False
        stream.write(b'{"predictions":[')

    def write(self, answered: Answered) -> None:
        if not answered:
            return
        self._stream.write((b"," if self._begun else b"") + _inside(answered.predictions))
        self._begun = True
        for name, values in _also(answered):
            self._also[name].append(_inside(values))

    def close(self) -> None:
        self._stream.write(b"]")
        for name, parts in self._also.items():
            self._stream.write(b"," + answers.dump(name) + b":[" + b",".join(parts) + b"]")
        self._stream.write(b"}\n")


def _also(answered: Answered) -> Iterator[tuple[str, Any]]:
    if answered.probabilities is not None:
        yield "probabilities", answered.probabilities
    yield from answered.kept


def _inside(values: Any) -> bytes:
    return answers.dump(list(values))[1:-1]
