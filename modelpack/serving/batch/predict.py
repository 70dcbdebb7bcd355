"""Prediction of chunks, with errors of single rows isolated."""

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

# From sysexits.h. 1 is a service that cannot start, and those of Docker begin at 125.
USAGE, BAD_ROWS, NO_INPUT, FAILED, NO_OUTPUT, UNFINISHED = 2, 65, 66, 70, 74, 75


class BatchError(Exception):
    """The reason why a batch ends, with the position in the file and the exit status."""

    def __init__(self, detail: str, place: dict[str, Any], code: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.code = code


class Batch:
    """Predicts chunk by chunk, writes the predictions, and reports progress."""

    def __init__(
        self,
        predictor: BatchPredictor,
        writer: Any,
        reporter: progress.Reporter,
        output: str | None,
        first: int = 0,
    ) -> None:
        """Create a batch.

        Args:
            predictor: Predicts the chunks.
            writer: Of the output format.
            reporter: Receives the progress.
            output: The name of the output file, or None for standard output.
            first: The number of rows of the file before the batch.
        """
        self._predictor = predictor
        self._open = writer
        self._reporter = reporter
        self._output = output
        self._rows = first  # of the file, that have been read
        self._ignored = 0  # names that have been reported

    def run(self, chunks: Iterator[Chunk], out: BinaryIO, counted: streams.CountingReader) -> None:
        """Predict all chunks. Raise BatchError for malformed input and refused rows."""
        current = writer = None
        try:
            for chunk in chunks:
                current = chunk
                result = self._predict(chunk)
                if result is not None:
                    writer = writer or self._open(out, self._like(result.kept))
                    writer.write(result)
                    out.flush()  # for a reader of a pipe
                self._rows += len(chunk)
                self._reporter.progress(len(chunk), counted.count, counted.total)
                current = None
            writer = writer or self._open(out, self._like({}))
            writer.close()
        except Problem as problem:
            raise self._error(problem, current, out) from problem

    def _predict(self, chunk: Chunk) -> ChunkResult | None:
        try:
            outcome = self._predictor.predict(chunk)
        finally:
            self._report_ignored()
        for index, problem in outcome.failed:
            self._reporter.rejected(*progress.describe_problem(problem, chunk, self._rows, index))
        return outcome.result

    def _report_ignored(self) -> None:
        """Report each ignored name once."""
        names = list(self._predictor.ignored or ())[self._ignored :]
        if names:
            self._ignored += len(names)
            listed = ", ".join(repr(validation.shorten(name)) for name in names[:MAX_HEADER_NAMES])
            more = (
                f" and {len(names) - MAX_HEADER_NAMES} more"
                if len(names) > MAX_HEADER_NAMES
                else ""
            )
            self._reporter.note(f"ignored, as the model has no such inputs: {listed}{more}")

    def _like(self, kept: Mapping[str, Any]) -> ChunkResult:
        return ChunkResult(self._predictor.like or Prediction(np.empty(0, object)), kept)

    def _error(self, problem: Problem, chunk: Chunk | None, out: BinaryIO) -> BatchError:
        detail, place = progress.describe_problem(problem, chunk, self._rows)
        if self._output is not None:
            detail += " Nothing is written."
        elif self._rows:
            out.flush()
            detail += f" The predictions for the first {self._rows} rows are already written."
        return BatchError(detail, place, FAILED if problem.status == 500 else BAD_ROWS)


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch.

    Attributes:
        probabilities: Add the probability of each class.
        keep: The names of columns to copy, None for all.
        on_error: What to do with a row that cannot be predicted: "fail", "null" or "skip".
    """

    probabilities: bool = False
    keep: Sequence[str] | None = ()
    on_error: str = "fail"


@dataclass(frozen=True)
class Outcome:
    """The predictions for a chunk, and the index and problem of each row that failed."""

    result: ChunkResult | None
    failed: Sequence[tuple[int, Problem]] = field(default_factory=list)


class BatchPredictor:
    """Predicts chunks. `like` is the first prediction, which shows the form of all others."""

    def __init__(self, service: Service, options: BatchOptions) -> None:
        self._service = service
        self._options = options
        known = {each.name for each in service.manifest.inputs}
        self._extra = frozenset(options.keep or ()) - known
        self._keep: list[str] | None = None if options.keep is None or options.keep else []
        self._context = Flask(__name__)
        self.ignored = service.extras
        self.like = self._example()

    def _example(self) -> Prediction | None:
        row = self._service.manifest.example
        if row is None or not self._service.ready:
            return None
        with self._request_context(), suppress(Problem):
            return self._predict_rows(self._service.decode_rows([row]))
        return None

    @contextmanager
    def _request_context(self) -> Iterator[None]:
        with self._context.app_context():
            g.request_id = None
            yield

    def predict(self, chunk: Chunk) -> Outcome:
        """Predict a chunk.

        Raises:
            Problem: A row cannot be predicted and `on_error` is "fail", or no row can be.
        """
        with self._request_context():
            kept = self._kept(chunk)
            try:
                return Outcome(ChunkResult(self._predict(chunk), kept))
            except Problem:
                if self._options.on_error == "fail":
                    raise
            failed = dict(self._find_failed(chunk, 0))
            return Outcome(self._predict_others(chunk, failed, kept), list(failed.items()))

    def _predict_others(
        self, chunk: Chunk, failed: dict[int, Problem], kept: dict[str, Any]
    ) -> ChunkResult | None:
        """Predict the rows that did not fail in one call."""
        good = [index for index in range(len(chunk)) if index not in failed]
        part = chunk.take(good)
        answer = self._predict(part) if good else None
        if self._options.on_error == "skip":
            return None if answer is None else ChunkResult(answer, self._kept(part))
        if self.like is None:
            raise Problem(422, "No row has been predicted, so the form of predictions is unknown.")
        return ChunkResult(scatter(answer, good, len(chunk), self.like), kept)

    def _find_failed(self, chunk: Chunk, start: int) -> list[tuple[int, Problem]]:
        """Find the rows that cannot be predicted on their own, by bisection.

        Raises:
            Problem: The chunk is wrong and not a single row: a column is missing.
        """
        try:
            self._predict(chunk)
        except Problem as problem:
            if problem.errors and problem.errors[0]["row"] is None:
                raise
            if len(chunk) == 1:
                return [(start, problem)]
            low, high = _halves(chunk)
            return self._find_failed(low, start) + self._find_failed(high, start + len(low))
        return []

    def _predict(self, chunk: Chunk) -> Prediction:
        rows = chunk.decode(self._service, self._extra, self.ignored)
        if _count(rows) != len(chunk):
            raise Problem(400, f"{_count(rows)} rows are in {len(chunk)} lines.")
        try:
            self.like = self._predict_rows(rows)
        except Problem as problem:
            if problem.status != 422 or problem.errors or len(chunk) == 1:
                raise
            # More values than a response may have.
            self.like = concatenate(*map(self._predict, _halves(chunk)))
        return self.like

    def _predict_rows(self, rows: Rows) -> Prediction:
        return self._service.predict_decoded(rows, self._options.probabilities)

    def _kept(self, chunk: Chunk) -> dict[str, Any]:
        """Return the columns to copy. The first chunk determines their names."""
        if self._keep == []:
            return {}
        names = chunk.names or [each.name for each in self._service.manifest.inputs]
        if self._keep is None:
            self._keep = names if self._options.keep is None else list(self._options.keep)
            for name in self._keep:
                if name not in names:
                    raise Problem(400, f"There is no column {name!a} to keep.")
        indexes = {name: index for index, name in enumerate(names)}
        return {name: chunk.values(indexes.get(name, len(names)), name) for name in self._keep}


def _count(rows: Rows) -> int:
    return len(rows) if isinstance(rows, np.ndarray) else len(rows[0])


def _halves(chunk: Chunk) -> tuple[Chunk, Chunk]:
    middle = len(chunk) // 2
    return chunk.take(range(middle)), chunk.take(range(middle, len(chunk)))
