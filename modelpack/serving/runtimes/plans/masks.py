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
from typing import Any, NamedTuple

import numpy as np

from .nodes import Forest, rounded_down
from .ranks import Ranks

BITS = {np.uint8: 8, np.uint16: 16, np.uint32: 32, np.int64: 53}
"""Number of bits of a mask by its dtype. float64 represents all of them, and its exponent is the
highest one. Shorter masks take less time."""
MAX_BITS = max(BITS.values())
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
        threshold: Largest value that goes to the left child, in the dtype of the rows.
        mask: The bits that remain after a comparison that fails.
    """

    first: np.ndarray
    tree: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    is_missing_left: np.ndarray
    mask: np.ndarray


def grouped(forest: Forest, dtype: Any) -> list[Group] | None:
    """Return the trees in groups, or None if one has too many leaves or all have only one.

    `dtype` is that of the rows.
    """
    first = forest.first[forest.roots]
    counts = np.diff(np.append(first, len(forest.leaf_nodes)))
    if counts.max() > MAX_BITS or forest.is_leaf.all():
        return None
    inner = np.flatnonzero(~forest.is_leaf)
    tree = np.searchsorted(forest.roots, inner, side="right") - 1
    start = forest.first[inner] - first[tree]
    end = forest.first[forest.right[inner]] - first[tree]
    groups = []
    for number in range(0, len(first), GROUP):
        chosen = slice(*np.searchsorted(tree, [number, number + GROUP]))
        nodes = inner[chosen]
        most = counts[number : number + GROUP].max()
        groups.append(
            Group(
                first[number : number + GROUP],
                tree[chosen] - number,
                forest.feature[nodes],
                rounded_down(forest.threshold[nodes], dtype),
                forest.is_missing_left[nodes],
                _masks(start[chosen], end[chosen], most),
            )
        )
    return groups


def _masks(start: np.ndarray, end: np.ndarray, most: int) -> np.ndarray:
    """Return masks without the leaves from `start` to `end`, of trees of `most` leaves."""
    dtype, bits = next(each for each in BITS.items() if most <= each[1])
    one = np.ones(len(start), np.int64)
    mask = ((1 << bits) - 1) & ~(((one << (end - start)) - 1) << (bits - end))
    return np.asarray(mask.astype(dtype))


class Masks:
    """The traversal of some trees by masks.

    Attributes:
        width: Number of features that the trees compare.
    """

    def __init__(self, group: Group) -> None:
        self._features = np.unique(group.feature).tolist() or [0]
        self.width = len(self._features)
        self._bits = BITS[group.mask.dtype.type]
        thresholds, tables = zip(
            *(self._lines_of(group, np.flatnonzero(group.feature == f)) for f in self._features)
        )
        self._table = np.concatenate(tables)
        self._starts = np.cumsum([0, *map(len, tables)])[:-1, np.newaxis]
        self._missing = self._starts + np.array([[len(each) + 1] for each in thresholds])
        self._ranks = Ranks(thresholds, group.threshold.dtype)
        listed = [each.tolist() for each in thresholds]
        self._places = list(zip(self._features, self._starts.ravel().tolist(), listed))
        # The exponent of a mask is that of its highest bit, which is that of its leftmost leaf.
        self._last = group.first + self._bits - 1 + EXPONENT_BIAS

    def _lines_of(self, group: Group, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sorted thresholds of one feature, and its part of the table.

        It has a line for each number of thresholds below a value, then one for missing values.
        """
        thresholds, ranks = np.unique(group.threshold[chosen], return_inverse=True)
        table = np.full(
            (len(thresholds) + 2, len(group.first)), (1 << self._bits) - 1, group.mask.dtype
        )
        tree, mask = group.tree[chosen], group.mask[chosen]
        np.bitwise_and.at(table, (ranks + 1, tree), mask)
        # numpy would compute with a wider dtype otherwise.
        np.bitwise_and.accumulate(table[:-1], axis=0, dtype=table.dtype, out=table[:-1])
        is_right = ~group.is_missing_left[chosen]
        table[-1] = (1 << self._bits) - 1
        np.bitwise_and.at(table[-1], tree[is_right], mask[is_right])
        return thresholds, table

    @staticmethod
    def table_bytes(group: Group) -> int:
        """Return an upper bound of the size of the table of a group."""
        lines = len(group.mask) + 2 * len(np.unique(group.feature))
        return group.mask.itemsize * lines * len(group.first)

    def leaves(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the leaf of each tree and row."""
        if len(rows) <= FEW_ROWS:
            listed = rows.tolist()
            if not math.isnan(sum(map(sum, listed))):
                return self._few(listed)
        return self._many(rows)

    def _few(self, rows: list[list[float]]) -> np.ndarray:
        lines = [
            [
                start + bisect_left(thresholds, row[feature])
                for feature, start, thresholds in self._places
            ]
            for row in rows
        ]
        masks = np.bitwise_and.reduce(self._table.take(lines, axis=0), axis=1)
        return np.ascontiguousarray(self._leftmost(masks).T)

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
            result[:, first : first + step] = self._leftmost(masks).T
        return result

    def _lines(self, rows: np.ndarray) -> np.ndarray:
        """Return the line of the table for each feature and row."""
        columns = rows.T.take(self._features, axis=0)
        lines = self._ranks.rank(columns)
        lines += self._starts
        is_missing = np.isnan(columns)
        if is_missing.any():
            np.copyto(lines, self._missing, where=is_missing)
        return lines

    def _leftmost(self, masks: np.ndarray) -> np.ndarray:
        exponents = masks.astype(np.float64).view(np.int64)
        exponents >>= FRACTION_BITS
        return np.asarray(np.subtract(self._last, exponents, out=exponents))
