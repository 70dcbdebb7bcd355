"""Chunk after chunk is answered, written, and told of."""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator, Mapping

import numpy as np

from .. import misfits
from ..answers import Answer
from ..extras import MOST_NAMED
from ..problems import Problem
from . import places, telling
from .answered import Answered
from .answering import Answering
from .chunks import Chunk

# As sysexits.h has them: 1 is a service that cannot start, and those of Docker begin at 125.
BAD_ROWS, FAILED = 65, 70


class EndedError(Exception):
    """It ends here, for this reason."""

    def __init__(self, detail: str, place: dict[str, Any], code: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.code = code


class Batch:
    """Answers chunk by chunk, and tells of it. `output`: the name of the file of answers."""

    def __init__(
        self, answering: Answering, writer: Any, teller: telling.Teller, output: str | None
    ) -> None:
        self._answering = answering
        self._open = writer
        self._teller = teller
        self._output = output
        self._rows = 0  # that have been read
        self._ignored = 0  # names that have been told

    def run(self, chunks: Iterator[Chunk], out: BinaryIO, counted: places.Counted) -> None:
        """Raises:
        EndedError: a row has no answer, or the input is broken.
        """
        current = writer = None
        try:
            for chunk in chunks:
                current = chunk
                answered = self._answered(chunk)
                if answered is not None:
                    writer = writer or self._open(out, self._like(answered.kept))
                    writer.write(answered)
                    out.flush()  # whoever waits for them at the other end has them
                self._rows += len(chunk)
                self._teller.progress(len(chunk), counted.count, counted.total)
                current = None
            writer = writer or self._open(out, self._like({}))
            writer.close()
        except Problem as problem:
            raise self._ended(problem, current, out) from problem

    def _answered(self, chunk: Chunk) -> Answered | None:
        try:
            outcome = self._answering.of(chunk)
        finally:
            self._tell_ignored()
        for index, problem in outcome.refused:
            self._teller.refusal(*telling.told(problem, chunk, self._rows, index))
        return outcome.answered

    def _tell_ignored(self) -> None:
        """Name what is ignored, each name once."""
        names = list(self._answering.ignored or ())[self._ignored :]
        if names:
            self._ignored += len(names)
            listed = ", ".join(repr(misfits.short(name)) for name in names[:MOST_NAMED])
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            self._teller.note(f"ignored, as the model has no such inputs: {listed}{more}")

    def _like(self, kept: Mapping[str, Any]) -> Answered:
        return Answered(self._answering.like or Answer(np.empty(0, object)), kept)

    def _ended(self, problem: Problem, chunk: Chunk | None, out: BinaryIO) -> EndedError:
        detail, place = telling.told(problem, chunk, self._rows)
        if self._output is not None:
            detail += " Nothing is written."
        elif self._rows:
            out.flush()
            detail += f" The answers to the first {self._rows} rows are written already."
        return EndedError(detail, place, FAILED if problem.status == 500 else BAD_ROWS)
