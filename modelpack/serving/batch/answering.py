"""From chunks of rows to answers, whatever becomes of single rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Sequence

from flask import Flask, g

from ..problems import Problem
from ..service import Service
from .answers import Answered, Column
from .chunks import Chunk

ANSWERS = ("prediction", "predictions", "probabilities")


@dataclass(frozen=True)
class Wishes:
    """`keep`: names of columns to copy beside the answers; None: all. `on_error`: what is done
    about a row that has no answer: fail, null or skip.
    """

    probabilities: bool = False
    keep: Sequence[str] | None = ()
    on_error: str = "fail"


@dataclass(frozen=True)
class Outcome:
    """`refused`: index in the chunk and reason of each row that has no answer."""

    answered: Answered
    refused: Sequence[tuple[int, Problem]] = field(default_factory=list)


class Answering:
    """Asks `service` as `wishes` say."""

    def __init__(self, service: Service, wishes: Wishes) -> None:
        self._service = service
        self._wishes = wishes
        known = {each.name for each in service.manifest.inputs}
        self._extra = frozenset(wishes.keep or ()) - known
        self._context = Flask(__name__)

    def example(self) -> Answered | None:
        """The answer to the model's own example, where it has one that it answers."""
        row = self._service.manifest.example
        if row is None or not self._service.ready:
            return None
        with self._context.app_context():
            g.request_id = None
            rows = self._service.rows([row])
            return Answered(*self._ask(rows))

    def of(self, chunk: Chunk) -> Outcome:
        """Raises:
        Problem: a row has no answer and is to end it all, or none can have one.
        """
        with self._context.app_context():
            g.request_id = None  # of no request
            if self._wishes.on_error == "fail":
                return Outcome(self._answered(chunk))
            try:
                return Outcome(self._answered(chunk))
            except Problem:
                return self._sorted(chunk)

    def _sorted(self, chunk: Chunk) -> Outcome:
        """Of the rows that have an answer, all are answered together."""
        refused = dict(self._refused(chunk, 0))
        good = [index for index in range(len(chunk)) if index not in refused]
        told = list(refused.items())
        if self._wishes.on_error == "skip":
            part = chunk.take(good)
            return Outcome(self._answered(part) if good else Answered([], self._none(0)), told)
        return Outcome(self._with_gaps(chunk, good), told)

    def _with_gaps(self, chunk: Chunk, good: Sequence[int]) -> Answered:
        predictions: list[Any] = [None] * len(chunk)
        probabilities = self._none(len(chunk))
        if good:
            answered = self._answered(chunk.take(good))
            for place, index in enumerate(good):
                predictions[index] = answered.predictions[place]
                if probabilities is not None and answered.probabilities is not None:
                    probabilities[index] = answered.probabilities[place]
        return Answered(predictions, probabilities, self._kept(chunk))

    def _none(self, count: int) -> list[Any] | None:
        return [None] * count if self._wishes.probabilities else None

    def _refused(self, chunk: Chunk, start: int) -> list[tuple[int, Problem]]:
        """The rows that have no answer by themselves, found by halves.

        Raises:
            Problem: it is of no single row: a column is missing.
        """
        try:
            self._answered(chunk)
        except Problem as problem:
            if problem.errors and problem.errors[0]["row"] is None:
                raise
            if len(chunk) == 1:
                return [(start, problem)]
            low, high = _halves(chunk)
            return self._refused(low, start) + self._refused(high, start + len(low))
        return []

    def _answered(self, chunk: Chunk) -> Answered:
        rows = chunk.decode(self._service, self._extra)
        try:
            answers = self._ask(rows)
        except Problem as problem:
            if problem.status != 413 or len(chunk) == 1:
                raise
            return _joined(*map(self._answered, _halves(chunk)))  # an answer has its limit too
        return Answered(*answers, self._kept(chunk))

    def _ask(self, rows: Any) -> tuple[list[Any], list[Any] | None]:
        predictions = self._service.predict(rows)
        also = self._service.probabilities(rows) if self._wishes.probabilities else None
        return predictions, also

    def _kept(self, chunk: Chunk) -> list[Column]:
        names = chunk.names or [each.name for each in self._service.manifest.inputs]
        wanted = names if self._wishes.keep is None else self._wishes.keep
        for name in wanted:
            if name not in names:
                raise Problem(400, f"There is no column {name!a} to keep.")
            if name in ANSWERS:
                raise Problem(400, f"The column {name!a} cannot be kept: an answer is called that.")
        return [(name, chunk.values(names.index(name), name)) for name in wanted]


def _halves(chunk: Chunk) -> tuple[Chunk, Chunk]:
    middle = len(chunk) // 2
    return chunk.take(range(middle)), chunk.take(range(middle, len(chunk)))


def _joined(low: Answered, high: Answered) -> Answered:
    probabilities = None
    if low.probabilities is not None and high.probabilities is not None:
        probabilities = [*low.probabilities, *high.probabilities]
    kept = [(name, [*a, *b]) for (name, a), (_, b) in zip(low.kept, high.kept)]
    return Answered([*low.predictions, *high.predictions], probabilities, kept)
