"""The words of a text: coefficient times value, or the output of the model without each word."""

from __future__ import annotations

import heapq
import re
import time
from typing import Any, NamedTuple

import numpy as np

from ..data.columns import Rows
from ..runtimes import estimator
from ..service import Service
from . import outputs, terms
from .explanation import Contributions, WordContributions
from .origins import VECTORIZERS
from .scores import is_linear, scores_of
from .steps import MAX_VALUES, Steps, UnavailableError, contained, steps_of
from .sums import Sums

MAX_WORDS = 100
"""WordContributions in a response."""
MAX_LENGTH = 80
"""Characters of a word in a response."""
MAX_SECONDS = 1.0
"""Time in which words are left out."""
BATCH = 100_000
"""Characters of texts that are predicted together."""
_WORD = re.compile(r"\w+")


def is_text(service: Service) -> bool:
    """Return whether the only input of a model is a text that a vectorizer splits."""
    facts = service.manifest
    if facts.layout == "text":
        return True
    if facts.layout != "frame" or len(facts.inputs) != 1 or facts.inputs[0].type != "string":
        return False
    names = {type(each).__name__ for each in estimator.parts(service.runner.model)}
    return not names.isdisjoint(VECTORIZERS)


class TextModel:
    """The contributions of the words of the only input."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._linear: LinearText | None = None
        self._reason = ""
        try:
            self._linear = contained(_linear_text, service)
        except UnavailableError as error:
            self._reason = str(error)

    def explain(self, rows: Rows, _target: int | None) -> Contributions:
        """Return the contributions of the words of one row.

        Raises:
            UnavailableError: The model predicts no number and no class.
        """
        text = rows[0][0]
        if not isinstance(text, str):
            raise UnavailableError("The text is missing.")
        found: Contributions
        reason = self._reason
        if self._linear is not None:
            try:
                found = contained(self._linear.explain, self._service, rows, text)
            except UnavailableError as error:
                reason = str(error)
            else:
                return found
        return _left_out(self._service, rows, text, reason)


def _linear_text(service: Service) -> LinearText:
    return LinearText(steps_of(service.runner, service.manifest))


class LinearText:
    """A linear model of the columns of vectorizers."""

    def __init__(self, steps: Steps) -> None:
        """Read the coefficients.

        Raises:
            UnavailableError: The model is not linear, or its columns are not those of words.
        """
        if not is_linear(steps.predictor):
            raise UnavailableError("The model is not linear.")
        self._terms = terms.trace(steps)
        self._scores = scores_of(steps.predictor, self._terms.width)
        self._transformed = steps.transformed

    def explain(self, service: Service, rows: Rows, text: str) -> Contributions:
        """Return the contributions of the words of a text.

        Raises:
            UnavailableError: They do not add up to the output of the model.
        """
        sums, names = self._sums(text)
        output = outputs.matching(service, rows, sums, is_short=False)
        base, total = (
            float(each[output.number] * output.sign) for each in (sums.base, sums.totals)
        )
        values = (sums.parts[output.number] * output.sign + 0.0).tolist()
        words = _largest(names, values)
        return Contributions(
            "coefficients", output.kind, output.label, base, total, [total - base], [""], words
        )

    def _sums(self, text: str) -> tuple[Sums, list[str]]:
        """Return the contributions of the columns of a text, compared with an empty one."""
        block = self._transformed([np.array([text, ""], object)])
        entries = [_entries(block, row) for row in (0, 1)]
        columns = np.union1d(*(each.columns for each in entries))
        values, usual = (self._scores.columns(each.at(columns)) for each in entries)
        if len(columns) * len(self._scores.coefficients) > MAX_VALUES:
            raise UnavailableError(f"The words have more than {MAX_VALUES:,} coefficients.")
        weights = self._scores.coefficients[:, columns]
        words = self._terms.columns(text)
        try:
            names = [", ".join(words[int(column)]) for column in columns]
        except KeyError:
            raise UnavailableError("A column is not of a word of the text.") from None
        return Sums(weights @ usual + self._scores.intercepts, weights * (values - usual)), names


class _Entries(NamedTuple):
    """The columns of a row that are not 0, and their values."""

    columns: np.ndarray
    values: np.ndarray

    def at(self, columns: np.ndarray) -> np.ndarray:
        """Return the values of sorted columns, which contain those of the row."""
        result = np.zeros(len(columns))
        np.add.at(result, np.searchsorted(columns, self.columns), self.values)
        return result


def _entries(block: Any, row: int) -> _Entries:
    if hasattr(block, "tocsr"):
        block = block.tocsr()
    if hasattr(block, "indptr"):
        span = slice(int(block.indptr[row]), int(block.indptr[row + 1]))
        return _Entries(block.indices[span].astype(np.intp), block.data[span].astype(np.float64))
    values = np.asarray(block, np.float64)[row]
    columns = np.flatnonzero(values)
    return _Entries(columns, values[columns])


def _largest(names: list[str], values: list[float]) -> WordContributions:
    order = heapq.nlargest(MAX_WORDS, range(len(values)), key=lambda index: abs(values[index]))
    shown = set(order)
    rest = sum(value for index, value in enumerate(values) if index not in shown)
    return WordContributions(
        [names[index][:MAX_LENGTH] for index in order],
        [values[index] for index in order],
        len(values) - len(order),
        rest,
    )


# --- leaving out one word at a time ---


def _left_out(service: Service, rows: Rows, text: str, reason: str) -> Contributions:
    """Return the differences to the outputs for the text without each of its words."""
    output = outputs.chosen(service, rows)
    total = outputs.values(service, rows, output)[0]
    spans: dict[str, list[tuple[int, int]]] = {}
    for match in _WORD.finditer(text):
        spans.setdefault(match.group().lower(), []).append(match.span())
    words = list(spans)[:MAX_WORDS]
    size = max(1, BATCH // (len(text) + 1))
    until = time.monotonic() + MAX_SECONDS
    found: list[float] = []
    while len(found) < len(words) and time.monotonic() < until:
        some = words[len(found) : len(found) + size]
        others = np.array([_without(text, spans[word]) for word in some], object)
        found += (total - outputs.values(service, [others], output)).tolist()
    order = sorted(range(len(found)), key=lambda index: -abs(found[index]))
    result = WordContributions(
        [words[index][:MAX_LENGTH] for index in order],
        [found[index] for index in order],
        len(spans) - len(found),
        None,
    )
    kind, label = output.kind, output.label
    return Contributions(
        "left_out", kind, label, None, float(total), [], None, result, reason=reason
    )


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(text)]
    return "".join(text[end:start] for end, start in zip(ends, starts))
