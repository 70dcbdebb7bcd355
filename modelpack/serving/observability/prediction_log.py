"""A log of some predictions, which the service writes after it has sent the responses.

MODELPACK_LOG_PREDICTIONS sets the share of the requests, and MODELPACK_LOG_INPUTS the inputs that
may be logged. Other inputs are never read.
"""

from __future__ import annotations

import atexit
import logging
import math
import random
import threading
from queue import Full, Queue
from typing import Any, Mapping, Sequence

import numpy as np

from ..data.columns import Rows, count
from ..errors import StartupError
from . import logs, metrics

SHARE = "MODELPACK_LOG_PREDICTIONS"
INPUTS = "MODELPACK_LOG_INPUTS"
MAX_ROWS = 10
"""Rows of a request that are logged, the first ones."""
MAX_QUEUED = 1000
"""Requests that wait to be logged. More are dropped, and counted."""
CLOSE_SECONDS = 1.0

log = logging.getLogger("modelpack.predictions")


class PredictionLog:
    """The log of one worker. Its thread starts with the first entry, after the fork."""

    def __init__(self, share: float, columns: Mapping[str, int]) -> None:
        """`share`: of the requests. `columns`: the index of each input that is logged."""
        self._share = share
        self._columns = columns
        self._queue: Queue[Sequence[Mapping[str, Any]]] = Queue(MAX_QUEUED)
        self._thread: threading.Thread | None = None

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], names: Sequence[str]
    ) -> PredictionLog | None:
        """Return the log that the variables set, or None. `names`: of the inputs.

        Raises:
            StartupError: The share is not above 0 and at most 1, or an input is unknown.
        """
        text = environ.get(SHARE)
        if not text:
            return None
        try:
            share = float(text)
        except ValueError:
            share = math.nan
        if not 0 < share <= 1:
            raise StartupError(f"{SHARE} is {text!r:.50}, but has to be above 0 and at most 1.")
        requested = [name.strip() for name in environ.get(INPUTS, "").split(",") if name.strip()]
        unknown = [name for name in requested if name not in names]
        if unknown:
            raise StartupError(f"{INPUTS}: the model has no input {unknown[0]!r:.100}.")
        return cls(share, {name: names.index(name) for name in requested})

    def record(self, request_id: str, rows: Rows, results: Mapping[str, Any]) -> None:
        """Log a response, if it is one of those. `results`: method -> what the model returned."""
        if self._share < 1 and random.random() >= self._share:  # noqa: S311 - no secret
            return
        try:
            self._queue.put_nowait(self._facts(request_id, rows, results))
        except Full:
            metrics.LOG_DROPPED.inc()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()
            atexit.register(self.close)

    def _facts(
        self, request_id: str, rows: Rows, results: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return the members of each line, so that no array is kept until they are written."""
        facts = []
        for number in range(min(count(rows), MAX_ROWS)):
            inputs = {name: _value(rows, number, index) for name, index in self._columns.items()}
            outputs = {method: _output(result, number) for method, result in results.items()}
            facts.append({"id": request_id, "row": number, "inputs": inputs, **outputs})
        return facts

    def _write_all(self) -> None:
        while True:
            logs.log_all(log, "prediction", self._queue.get())
            self._queue.task_done()

    def close(self) -> None:
        """Write what is queued, for a second at most."""
        waiter = threading.Thread(target=self._queue.join, daemon=True)
        waiter.start()
        waiter.join(CLOSE_SECONDS)


def _value(rows: Rows, number: int, index: int) -> Any:
    """Return the value of an input as JSON has it; None for a missing one."""
    value = rows[number, index] if isinstance(rows, np.ndarray) else rows[index][number]
    return _to_json(value)


def _output(result: Any, number: int) -> Any:
    if isinstance(result, list):
        return [_output(each, number) for each in result]
    return _to_json(result[number])


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_to_json(each) for each in value.tolist()]
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, np.generic):
        value = value.item()
    is_number = isinstance(value, float)
    return None if is_number and not math.isfinite(value) else value
