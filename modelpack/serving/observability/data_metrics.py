"""Metrics of the values in requests, compared with the training, and of predictions.

docs/monitoring.md describes them. The names of inputs and classes come from the model, so clients
cannot add labels.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any, Sequence

import numpy as np

from ..data.columns import Rows
from ..manifest import Field, Manifest
from . import metrics

log = logging.getLogger("modelpack.serving")

VARIABLE = "MODELPACK_DATA_METRICS"
"""0: no such metrics."""

MAX_INPUTS = 50
"""Inputs with a label of their own. The others have the label `other` together."""
MAX_CLASSES = 50
MAX_OBSERVED = 8
"""Predictions of one call that enter a histogram, evenly chosen. Each takes 3 microseconds."""
PROBABILITIES = "predict_proba"


class DataMetrics:
    """The metrics of one model."""

    def __init__(self, facts: Manifest, classes: Sequence[Any] | None) -> None:
        """`classes`: the labels of a classifier, or arrays of them for several outputs."""
        self._method = facts.method
        self._has_failed = False
        # Dicts and texts have no columns.
        fields = facts.inputs if facts.layout in ("array", "frame") else ()
        self._inputs = [_Input(field, index) for index, field in enumerate(fields)]
        self._categorical = [each for each in self._inputs if each.categories is not None]
        self._low = np.array([each.low for each in self._inputs])
        self._high = np.array([each.high for each in self._inputs])
        self._is_classifier = classes is not None
        # Predictions of several outputs have no label.
        labels = () if classes is None else classes
        names = [each for each in labels if not isinstance(each, (list, np.ndarray))]
        names = names[:MAX_CLASSES]
        self._labels = {_key(name): metrics.label_text(name) for name in names}

    def record(self, method: str, rows: Rows, result: Any) -> None:
        """Count the values of a call that succeeded, and its predictions. Never fail.

        Args:
            method: Of the model. Inputs are counted for the one that predicts.
            rows: See `Rows`.
            result: What the model returned, (n_rows,) or (n_rows, n_outputs), or a list of them.
        """
        try:
            if method == self._method:
                self._record_inputs(rows)
            if isinstance(result, np.ndarray):
                self._record_result(method, result)
        except Exception:
            if not self._has_failed:  # one line is enough
                log.exception("a prediction was not counted")
            self._has_failed = True

    def _record_inputs(self, rows: Rows) -> None:
        if not self._inputs:
            return
        if isinstance(rows, np.ndarray):
            if rows.shape[1] == len(self._inputs):
                self._record_matrix(rows)
        elif len(rows) == len(self._inputs):
            for each, column in zip(self._inputs, rows):
                each.record(column)

    def _record_matrix(self, rows: np.ndarray) -> None:
        outside = (rows < self._low) | (rows > self._high)
        if np.count_nonzero(outside):
            self._add(metrics.OUTSIDE, outside)
        missing = np.isnan(rows)
        if np.count_nonzero(missing):
            self._add(metrics.MISSING, missing)
        for each in self._categorical:
            each.record_categories(rows[:, each.index])

    def _add(self, metric: Any, marks: np.ndarray) -> None:
        counts = np.count_nonzero(marks, axis=0)
        for index in np.flatnonzero(counts).tolist():
            metrics.child(metric, self._inputs[index].label).inc(int(counts[index]))

    def _record_result(self, method: str, result: np.ndarray) -> None:
        if method == PROBABILITIES and result.ndim == 2:
            for value in result[_chosen(len(result))].max(axis=1).tolist():
                metrics.PROBABILITY.observe(value)
        elif method != self._method or method != "predict" or result.ndim != 1:
            return
        elif self._is_classifier:
            for name, number in Counter(map(_key, result.tolist())).items():
                label = self._labels.get(name, metrics.OTHER)
                metrics.child(metrics.PREDICTED_CLASS, label).inc(number)
        elif result.dtype.kind in "fiub":
            for value in result[_chosen(len(result))].tolist():
                if math.isfinite(value):  # OpenMetrics has no sums of negative values
                    sign = "negative" if value < 0 else "positive"
                    metrics.child(metrics.PREDICTED_VALUE, sign).observe(abs(value))


class _Input:
    """An input and its values in the training."""

    def __init__(self, field: Field, index: int) -> None:
        self.index = index
        self.label = metrics.label_text(field.name) if index < MAX_INPUTS else metrics.OTHER
        self.low = -math.inf if field.minimum is None else field.minimum
        self.high = math.inf if field.maximum is None else field.maximum
        self.categories = None if field.categories is None else frozenset(field.categories)

    def record(self, column: np.ndarray) -> None:
        """Count the values of a column (n_rows,)."""
        if column.dtype.kind == "O":
            values = column.tolist()
            missing = sum(map(_is_missing, values))
        elif column.dtype.kind == "M":
            missing = int(np.count_nonzero(np.isnat(column)))
        elif column.dtype.kind in "fiub":
            missing = int(np.count_nonzero(column != column))  # noqa: PLR0124 - NaN
            outside = int(np.count_nonzero((column < self.low) | (column > self.high)))
            if outside:
                metrics.child(metrics.OUTSIDE, self.label).inc(outside)
        else:
            return
        if missing:
            metrics.child(metrics.MISSING, self.label).inc(missing)
        if self.categories is not None:
            self.record_categories(column)

    def record_categories(self, column: np.ndarray) -> None:
        """Count the values of a column that the training did not have."""
        known = self.categories or ()
        values = column.tolist()
        unknown = sum(value not in known and not _is_missing(value) for value in values)
        if unknown:
            metrics.child(metrics.UNKNOWN, self.label).inc(unknown)


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN


def _key(value: Any) -> Any:
    """Return a label as a Python value: 1 and numpy's 1 are the same class."""
    return value.item() if isinstance(value, np.generic) else value


def _chosen(rows: int) -> slice:
    return slice(None, None, -(-rows // MAX_OBSERVED))
