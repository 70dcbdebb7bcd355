"""From chunks of rows to answers, whatever becomes of single rows."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Iterator, Sequence

import numpy as np
from flask import Flask, g

from ..answers import Answer
from ..columns import Rows
from ..problems import Problem
from ..service import Service
from .answered import Answered, joined, spread
from .chunks import Chunk


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

    answered: Answered | None
    refused: Sequence[tuple[int, Problem]] = field(default_factory=list)


class Answering:
    """Asks `service` as `wishes` say. `like`: an answer, as soon as there is one: that to the
    model's own example, if it has one. `ignored`: names of what came and is no input.
    """

    def __init__(self, service: Service, wishes: Wishes) -> None:
        self._service = service
        self._wishes = wishes
        known = {each.name for each in service.manifest.inputs}
        self._extra = frozenset(wishes.keep or ()) - known
        self._keep: list[str] | None = None if wishes.keep is None or wishes.keep else []
        self._context = Flask(__name__)
        self.ignored = service.extras
        self.like = self._example()

    def _example(self) -> Answer | None:
        row = self._service.manifest.example
        if row is None or not self._service.ready:
            return None
        with self._asking(), suppress(Problem):
            return self._ask(self._service.rows([row]))
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
                return Outcome(Answered(self._answer(chunk), kept))
            except Problem:
                if self._wishes.on_error == "fail":
                    raise
            refused = dict(self._refused(chunk, 0))
            return Outcome(self._rest(chunk, refused, kept), list(refused.items()))

    def _rest(
        self, chunk: Chunk, refused: dict[int, Problem], kept: dict[str, Any]
    ) -> Answered | None:
        """Of the rows that have an answer, all are answered together."""
        good = [index for index in range(len(chunk)) if index not in refused]
        part = chunk.take(good)
        answer = self._answer(part) if good else None
        if self._wishes.on_error == "skip":
            return None if answer is None else Answered(answer, self._kept(part))
        if self.like is None:
            raise Problem(422, "No row so far has an answer, so that its form is not known.")
        return Answered(spread(answer, good, len(chunk), self.like), kept)

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

    def _answer(self, chunk: Chunk) -> Answer:
        rows = chunk.decode(self._service, self._extra, self.ignored)
        if _count(rows) != len(chunk):
            raise Problem(400, f"{_count(rows)} rows are in {len(chunk)} lines.")
        try:
            self.like = self._ask(rows)
        except Problem as problem:
            if problem.status != 422 or problem.errors or len(chunk) == 1:
                raise
            # More than an answer may hold.
            self.like = joined(*map(self._answer, _halves(chunk)))
        return self.like

    def _ask(self, rows: Rows) -> Answer:
        return self._service.answer(rows, self._wishes.probabilities)

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
