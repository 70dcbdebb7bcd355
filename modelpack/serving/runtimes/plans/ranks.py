"""Ranks of values among the thresholds of their features, for all features at once."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

CHUNK = 1 << 15
"""Number of values in one step, whose arrays fit in the cache of a processor."""
MAX_PADDED = 1 << 20
"""Number of thresholds, with the padding, that are searched together."""


class Ranks:
    """The numbers of thresholds below values.

    A binary search descends a perfect tree of thresholds for each feature. All trees have the same
    depth, so a step is a few calls of numpy for all features. `searchsorted` takes four times as
    long, because a processor cannot predict its comparisons.

    Args:
        thresholds: The sorted thresholds of each feature, without duplicates.
        dtype: The dtype of the values.
    """

    def __init__(self, thresholds: Sequence[np.ndarray], dtype: Any) -> None:
        self._thresholds = thresholds
        depth = max(map(len, thresholds)).bit_length()
        self._levels: list[np.ndarray] = []
        if len(thresholds) << depth > MAX_PADDED:
            return
        padded = np.full((len(thresholds), (1 << depth) - 1), np.inf, dtype)
        for line, own in zip(padded, thresholds):
            line[: len(own)] = own
        self._levels = [
            padded[:, (1 << depth - level - 1) - 1 :: 1 << depth - level].ravel()
            for level in range(depth)
        ]
        self._roots = np.arange(len(thresholds))[:, np.newaxis]
        self._starts = self._roots << depth

    def rank(self, columns: np.ndarray) -> np.ndarray:
        """Return the rank of each value of `columns` (n_features, n_rows).

        Missing values have any rank that others may have.
        """
        if not self._levels:
            return self._searched(columns)
        ranks = np.empty(columns.shape, np.intp)
        step = max(1, CHUNK // len(columns))
        for first in range(0, columns.shape[1], step):
            chosen = slice(first, first + step)
            self._descend(np.ascontiguousarray(columns[:, chosen]), ranks[:, chosen])
        return ranks

    def _descend(self, values: np.ndarray, ranks: np.ndarray) -> None:
        places = np.empty(values.shape, np.intp)
        places[:] = self._roots
        thresholds, is_above = np.empty_like(values), np.empty(values.shape, np.bool_)
        for level in self._levels:
            level.take(places, out=thresholds, mode="clip")  # without a buffer
            np.greater(values, thresholds, out=is_above)
            places += places
            places += is_above
        np.subtract(places, self._starts, out=ranks)

    def _searched(self, columns: np.ndarray) -> np.ndarray:
        ranks = np.empty(columns.shape, np.intp)
        for rank, thresholds, values in zip(ranks, self._thresholds, columns):
            rank[:] = thresholds.searchsorted(values)
        return ranks
