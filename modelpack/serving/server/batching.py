"""Dynamic batching of waiting requests."""

from __future__ import annotations

import time
from typing import Any, Iterator, Sequence

import numpy as np

from ..data.columns import FallbackRequiredError, Rows, count
from ..inference import InferenceRequest
from ..observability import requests
from ..runtimes import estimator
from ..service import Service

MOST_ROWS = 256
"""In one call for several requests: more take longer, and all of them wait."""


class DynamicBatch:
    """The questions of one turn. `results`: {method: array} of each, None where it has to be asked
    in another way. `calls`: of the model, that gave something.
    """

    def __init__(self, service: Service, questions: Sequence[InferenceRequest]) -> None:
        self.results: list[dict[str, Any] | None] = [{} for _ in questions]
        self.calls: list[requests.Call] = []
        self._runner = service.runner
        self._most = service.limits.answer_values
        self._questions = questions

    def ask(self) -> None:
        for method in dict.fromkeys(m for question in self._questions for m in question.methods):
            asking = [i for i, question in enumerate(self._questions) if method in question.methods]
            for group in self._groups(asking):
                self._ask(method, group)

    def _groups(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Those whose rows can be put below each other. Larger requests are asked by themselves:
        the model may give other last bits for rows that came together than for each alone.
        """
        alike: dict[Any, list[int]] = {}
        for index in indices:
            rows = self._questions[index].rows
            if count(rows) > 1 or not self._runner.merges:
                yield [index]
            else:
                alike.setdefault(_kind(rows), []).append(index)
        for group in alike.values():
            for start in range(0, len(group), MOST_ROWS):
                yield group[start : start + MOST_ROWS]

    def _ask(self, method: str, group: list[int]) -> None:
        """Ask for a group; if that fails for each half of it, so that only those fail that must."""
        try:
            result = self._asked(method, [self._questions[index].rows for index in group])
        except Exception:
            middle = len(group) // 2
            if middle:
                self._ask(method, group[:middle])
                self._ask(method, group[middle:])
            else:
                self.results[group[0]] = None
            return
        for place, index in enumerate(group):
            results = self.results[index]
            if results is not None:
                results[method] = result[place : place + 1] if len(group) > 1 else result

    def _asked(self, method: str, parts: Sequence[Rows]) -> np.ndarray:
        rows = parts[0] if len(parts) == 1 else _joined(parts)
        ask = self._runner.together if len(parts) == 1 else self._runner.each
        started = time.perf_counter()
        result = estimator.contained(ask, method, rows)
        self.calls.append(requests.Call(method, count(rows), time.perf_counter() - started))
        if type(result) is not np.ndarray or len(result) != count(rows):
            raise FallbackRequiredError
        if result.size > self._most:
            raise FallbackRequiredError
        return result


def _kind(rows: Rows) -> Any:
    """The same for rows that can be put below each other without changing a value's type."""
    return None if isinstance(rows, np.ndarray) else tuple(column.dtype.char for column in rows)


def _joined(parts: Sequence[Rows]) -> Rows:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [np.concatenate(columns) for columns in zip(*parts)]
