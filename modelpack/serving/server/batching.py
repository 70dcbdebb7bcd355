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

MAX_ROWS = 256
"""Rows of one call for several requests. More take longer, and all requests wait for them."""


class DynamicBatch:
    """Requests predicted in one turn. The result of one is None if Flask has to handle it.

    Attributes:
        results: Of each request, what the model returned by method.
        calls: The calls of the model that were tried.
        predicted: Method, rows and result of those that succeeded.
    """

    def __init__(self, service: Service, batch: Sequence[InferenceRequest]) -> None:
        self.results: list[dict[str, Any] | None] = [{} for _ in batch]
        self.calls: list[requests.Call] = []
        self.predicted: list[tuple[str, Rows, np.ndarray]] = []
        self._runner = service.runner
        self._max_values = service.limits.answer_values
        self._requests = batch

    def run(self) -> None:
        """Call the model for all requests."""
        for method in dict.fromkeys(m for request in self._requests for m in request.methods):
            indices = [i for i, request in enumerate(self._requests) if method in request.methods]
            for group in self._groups(indices):
                self._run(method, group)

    def _groups(self, indices: Sequence[int]) -> Iterator[list[int]]:
        """Yield groups of requests whose rows can be concatenated.

        A request of several rows is a group of its own: the last bits of a prediction may depend
        on whether its rows are predicted in one call.
        """
        by_types: dict[Any, list[int]] = {}
        for index in indices:
            rows = self._requests[index].rows
            if count(rows) > 1 or not self._runner.can_batch:
                yield [index]
            else:
                by_types.setdefault(_column_types(rows), []).append(index)
        for group in by_types.values():
            for start in range(0, len(group), MAX_ROWS):
                yield group[start : start + MAX_ROWS]

    def _run(self, method: str, group: list[int]) -> None:
        """Predict a group, or each half of it on an error, so that valid requests succeed."""
        try:
            result = self._call(method, [self._requests[index].rows for index in group])
        except Exception:
            middle = len(group) // 2
            if middle:
                self._run(method, group[:middle])
                self._run(method, group[middle:])
            else:
                self.results[group[0]] = None
            return
        for position, index in enumerate(group):
            results = self.results[index]
            if results is not None:
                results[method] = result[position : position + 1] if len(group) > 1 else result

    def _call(self, method: str, parts: Sequence[Rows]) -> np.ndarray:
        rows = parts[0] if len(parts) == 1 else _concatenate(parts)
        call = self._runner.call_batch if len(parts) == 1 else self._runner.call_each
        started = time.perf_counter()
        result = estimator.contained(call, method, rows)
        self.calls.append(requests.Call(method, count(rows), time.perf_counter() - started))
        if type(result) is not np.ndarray or len(result) != count(rows):
            raise FallbackRequiredError
        if result.size > self._max_values:
            raise FallbackRequiredError
        self.predicted.append((method, rows, result))
        return result


def _column_types(rows: Rows) -> Any:
    """Return a key that is equal for rows that can be concatenated without changing a type."""
    return None if isinstance(rows, np.ndarray) else tuple(column.dtype.char for column in rows)


def _concatenate(parts: Sequence[Rows]) -> Rows:
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [np.concatenate(columns) for columns in zip(*parts)]
