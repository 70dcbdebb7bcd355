"""Traversal of trees of few leaves by masks of bits.

The algorithm follows "QuickScorer" by Lucchese et al. (2015). A mask has one bit for each leaf of a
tree. Each comparison that fails clears the bits of the leaves to the left of its node, and the
leftmost leaf that remains is the leaf of the row. The masks of all comparisons of one feature
depend only on the rank of the value among the thresholds. So a table contains them, and a row needs
one look-up for each feature, for all trees together.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from .nodes import Forest

BITS = 53
"""Number of bits of a mask, all of which float64 represents. Its exponent is the highest bit."""
ALL_BITS = (1 << BITS) - 1
EXPONENT_BIAS = 1023
FRACTION_BITS = 52

GROUP = 128
"""Number of trees that share a table. Its size grows with the square of this number."""
FEW_ROWS = 4
"""Number of rows up to which ranks are searched one by one."""
CHUNK = 1 << 15
"""Number of masks in one step, whose arrays fit in the cache of a processor."""


class Group(NamedTuple):
    """The inner nodes of some trees: what their comparisons clear.

    Attributes:
        first: The number of the first leaf of each tree.
        tree: The index of the tree of each inner node.
        mask: The bits that remain after a comparison that fails.
    """

    first: np.ndarray
    tree: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    is_missing_left: np.ndarray
    mask: np.ndarray


def grouped(forest: Forest) -> list[Group] | None:
    """Return the trees in groups, or None if one has too many leaves or all have only one."""
    first = forest.first[forest.roots]
    if np.diff(np.append(first, len(forest.leaf_nodes))).max() > BITS or forest.is_leaf.all():
        return None
    inner = np.flatnonzero(~forest.is_leaf)
    tree = np.searchsorted(forest.roots, inner, side="right") - 1
    start = forest.first[inner] - first[tree]
    end = forest.first[forest.right[inner]] - first[tree]
    one = np.ones(len(inner), np.int64)
    mask = ALL_BITS & ~(((one << (end - start)) - 1) << (BITS - end))
    groups = []
    for number in range(0, len(first), GROUP):
        chosen = slice(*np.searchsorted(tree, [number, number + GROUP]))
        nodes = inner[chosen]
        groups.append(
            Group(
                first[number : number + GROUP],
                tree[chosen] - number,
                forest.feature[nodes],
                forest.threshold[nodes],
                forest.is_missing_left[nodes],
                mask[chosen],
            )
        )
    return groups


class Masks:
    """The traversal of some trees by masks.

    Attributes:
        width: Number of features that the trees compare.
    """

    def __init__(self, group: Group) -> None:
        self._features = np.unique(group.feature).tolist() or [0]
        self.width = len(self._features)
        self._sorted, self._starts, tables, start = [], [], [], 0
        for feature in self._features:
            thresholds, table = _table(group, np.flatnonzero(group.feature == feature))
            self._sorted.append(thresholds)
            self._starts.append(start)
            tables.append(table)
            start += len(table)
        self._table = np.concatenate(tables)
        self._listed = [thresholds.tolist() for thresholds in self._sorted]
        # The exponent of a mask is that of its highest bit, which is that of its leftmost leaf.
        self._last = group.first + FRACTION_BITS + EXPONENT_BIAS

    @staticmethod
    def table_bytes(group: Group) -> int:
        """Return an upper bound of the size of the table of a group."""
        lines = len(group.mask) + 2 * len(np.unique(group.feature))
        return 8 * lines * len(group.first)

    def leaves(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the leaf of each tree and row."""
        if len(rows) <= FEW_ROWS:
            listed = rows.tolist()
            if not math.isnan(sum(map(sum, listed))):
                return self._few(listed)
        return self._many(rows)

    def _few(self, rows: list[list[float]]) -> np.ndarray:
        places = list(zip(self._features, self._starts, self._listed))
        lines = [
            [start + bisect_left(thresholds, row[feature]) for feature, start, thresholds in places]
            for row in rows
        ]
        masks = np.bitwise_and.reduce(self._table.take(lines, axis=0), axis=1)
        return np.ascontiguousarray(self._leftmost(masks.astype(np.float64)).T)

    def _many(self, rows: np.ndarray) -> np.ndarray:
        lines = self._lines(rows)
        result = np.empty((len(self._last), len(rows)), np.intp)
        step = max(1, CHUNK // len(self._last))
        for first in range(0, len(rows), step):
            chosen = lines[:, first : first + step]
            masks = self._table.take(chosen[0], axis=0)
            others = np.empty_like(masks)
            for line in chosen[1:]:
                self._table.take(line, axis=0, out=others, mode="clip")  # without a buffer
                masks &= others
            result[:, first : first + step] = self._leftmost(masks.astype(np.float64)).T
        return result

    def _lines(self, rows: np.ndarray) -> np.ndarray:
        """Return the line of the table for each feature and row."""
        lines = np.empty((self.width, len(rows)), np.intp)
        for line, feature, thresholds in zip(lines, self._features, self._sorted):
            values = rows[:, feature].astype(np.float64)
            line[:] = thresholds.searchsorted(values)
            line[np.isnan(values)] = len(thresholds) + 1
        lines += np.array(self._starts)[:, np.newaxis]
        return lines

    def _leftmost(self, masks: np.ndarray) -> np.ndarray:
        exponents = masks.view(np.int64)
        exponents >>= FRACTION_BITS
        return np.asarray(np.subtract(self._last, exponents, out=exponents))


def _table(group: Group, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted thresholds of one feature, and its part of the table.

    It has a line for each number of thresholds below a value, then one for missing values.
    """
    thresholds, ranks = np.unique(group.threshold[chosen], return_inverse=True)
    table = np.full((len(thresholds) + 2, len(group.first)), ALL_BITS, np.int64)
    tree, mask = group.tree[chosen], group.mask[chosen]
    np.bitwise_and.at(table, (ranks + 1, tree), mask)
    np.bitwise_and.accumulate(table[:-1], axis=0, out=table[:-1])
    is_right = ~group.is_missing_left[chosen]
    table[-1] = ALL_BITS
    np.bitwise_and.at(table[-1], tree[is_right], mask[is_right])
    return thresholds, table
