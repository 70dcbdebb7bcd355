"""The loop: each chunk predicted, failures isolated."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Iterator, Mapping, Sequence

import numpy as np
from flask import Flask, g

from ..data import validation
from ..data.columns import Rows
from ..data.extra_inputs import MAX_HEADER_NAMES
from ..data.results import Prediction
from ..problems import Problem
from ..service import Service
from . import progress, streams
from .chunks import Chunk, ChunkResult, concatenate, scatter

# As sysexits.h has them: 1 is a service that cannot start, and those of Docker begin at 125.
BAD_ROWS, FAILED = 65, 70


class BatchError(Exception):
    """It ends here, for this reason."""

    def __init__(self, detail: str, place: dict[str, Any], code: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.code = code


class Batch:
    """Answers chunk by chunk, and tells of it. `output`: the name of the file of answers."""

    def __init__(
        self, answering: BatchPredictor, writer: Any, teller: progress.Reporter, output: str | None
    ) -> None:
        self._answering = answering
        self._open = writer
        self._teller = teller
        self._output = output
        self._rows = 0  # that have been read
        self._ignored = 0  # names that have been told

    def run(self, chunks: Iterator[Chunk], out: BinaryIO, counted: streams.CountingReader) -> None:
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

    def _answered(self, chunk: Chunk) -> ChunkResult | None:
        try:
            outcome = self._answering.of(chunk)
        finally:
            self._tell_ignored()
        for index, problem in outcome.refused:
            self._teller.refusal(*progress.describe_problem(problem, chunk, self._rows, index))
        return outcome.answered

    def _tell_ignored(self) -> None:
        """Name what is ignored, each name once."""
        names = list(self._answering.ignored or ())[self._ignored :]
        if names:
            self._ignored += len(names)
            listed = ", ".join(repr(validation.shorten(name)) for name in names[:MAX_HEADER_NAMES])
            more = (
                f" and {len(names) - MAX_HEADER_NAMES} more"
                if len(names) > MAX_HEADER_NAMES
                else ""
            )
            self._teller.note(f"ignored, as the model has no such inputs: {listed}{more}")

    def _like(self, kept: Mapping[str, Any]) -> ChunkResult:
        return ChunkResult(self._answering.like or Prediction(np.empty(0, object)), kept)

    def _ended(self, problem: Problem, chunk: Chunk | None, out: BinaryIO) -> BatchError:
        detail, place = progress.describe_problem(problem, chunk, self._rows)
        if self._output is not None:
            detail += " Nothing is written."
        elif self._rows:
            out.flush()
            detail += f" The answers to the first {self._rows} rows are written already."
        return BatchError(detail, place, FAILED if problem.status == 500 else BAD_ROWS)


@dataclass(frozen=True)
class BatchOptions:
    """`keep`: names of columns to copy beside the answers; None: all. `on_error`: what is done
    about a row that has no answer: fail, null or skip.
    """

    probabilities: bool = False
    keep: Sequence[str] | None = ()
    on_error: str = "fail"


@dataclass(frozen=True)
class Outcome:
    """`refused`: index in the chunk and reason of each row that has no answer."""

    answered: ChunkResult | None
    refused: Sequence[tuple[int, Problem]] = field(default_factory=list)


class BatchPredictor:
    """Asks `service` as `wishes` say. `like`: an answer, as soon as there is one: that to the
    model's own example, if it has one. `ignored`: names of what came and is no input.
    """

    def __init__(self, service: Service, wishes: BatchOptions) -> None:
        self._service = service
        self._wishes = wishes
        known = {each.name for each in service.manifest.inputs}
        self._extra = frozenset(wishes.keep or ()) - known
        self._keep: list[str] | None = None if wishes.keep is None or wishes.keep else []
        self._context = Flask(__name__)
        self.ignored = service.extras
        self.like = self._example()

    def _example(self) -> Prediction | None:
        row = self._service.manifest.example
        if row is None or not self._service.ready:
            return None
        with self._asking(), suppress(Problem):
            return self._ask(self._service.decode_rows([row]))
        return None

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._context.app_context():
            g.request_id = None  # of no request
            yield

    def of(self, chunk: Chunk) -> Outcome:
        """Raises:
        Problem: a row has no answer and is to end it all, or none can have one.
        """
        with self._asking():
            kept = self._kept(chunk)
            try:
                return Outcome(ChunkResult(self._answer(chunk), kept))
            except Problem:
                if self._wishes.on_error == "fail":
                    raise
            refused = dict(self._refused(chunk, 0))
            return Outcome(self._rest(chunk, refused, kept), list(refused.items()))

    def _rest(
        self, chunk: Chunk, refused: dict[int, Problem], kept: dict[str, Any]
    ) -> ChunkResult | None:
        """Of the rows that have an answer, all are answered together."""
        good = [index for index in range(len(chunk)) if index not in refused]
        part = chunk.take(good)
        answer = self._answer(part) if good else None
        if self._wishes.on_error == "skip":
            return None if answer is None else ChunkResult(answer, self._kept(part))
        if self.like is None:
            raise Problem(422, "No row so far has an answer, so that its form is not known.")
        return ChunkResult(scatter(answer, good, len(chunk), self.like), kept)

    def _refused(self, chunk: Chunk, start: int) -> list[tuple[int, Problem]]:
        """The rows that have no answer by themselves, found by halves.

        Raises:
            Problem: it is of no single row: a column is missing.
        """
        try:
            self._answer(chunk)
        except Problem as problem:
            if problem.errors and problem.errors[0]["row"] is None:
                raise
            if len(chunk) == 1:
                return [(start, problem)]
            low, high = _halves(chunk)
            return self._refused(low, start) + self._refused(high, start + len(low))
        return []

    def _answer(self, chunk: Chunk) -> Prediction:
        rows = chunk.decode(self._service, self._extra, self.ignored)
        if _count(rows) != len(chunk):
            raise Problem(400, f"{_count(rows)} rows are in {len(chunk)} lines.")
        try:
            self.like = self._ask(rows)
        except Problem as problem:
            if problem.status != 422 or problem.errors or len(chunk) == 1:
                raise
            # More than an answer may hold.
            self.like = concatenate(*map(self._answer, _halves(chunk)))
        return self.like

    def _ask(self, rows: Rows) -> Prediction:
        return self._service.predict_decoded(rows, self._wishes.probabilities)

    def _kept(self, chunk: Chunk) -> dict[str, Any]:
        """The columns to keep, which the first chunk tells where all are."""
        if self._keep == []:
            return {}
        names = chunk.names or [each.name for each in self._service.manifest.inputs]
        if self._keep is None:
            self._keep = names if self._wishes.keep is None else list(self._wishes.keep)
            for name in self._keep:
                if name not in names:
                    raise Problem(400, f"There is no column {name!a} to keep.")
        places = {name: index for index, name in enumerate(names)}
        return {name: chunk.values(places.get(name, len(names)), name) for name in self._keep}


def _count(rows: Rows) -> int:
    return len(rows) if isinstance(rows, np.ndarray) else len(rows[0])


def _halves(chunk: Chunk) -> tuple[Chunk, Chunk]:
    middle = len(chunk) // 2
    return chunk.take(range(middle)), chunk.take(range(middle, len(chunk)))
