"""Traversal of many decision trees at once by numpy.

Trees of few leaves are traversed by masks of bits. Larger ones are traversed level by level: one
step in all trees for all rows, where leaves lead to themselves. docs/service-speed.md compares the
times with those of scikit-learn.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Sequence

import numpy as np

from .masks import FEW_ROWS, Masks, grouped
from .nodes import LEAF, Forest, Splits, rounded_down
from .records import is_record

MAX_TABLES = 32 << 20
"""Bytes of the tables of an ensemble. Trees with larger tables are traversed level by level."""

MASKS_PER_LEVEL = 18
"""Number of masks that are combined in the time of a step to the next level of a tree."""
MASKS_PER_RANK = 45
"""Number of masks that are combined in the time of the search for the rank of a value."""
CHUNK = 1 << 15
"""Number of pairs of a tree and a row in one step, whose arrays fit in the cache of a processor."""
LEVELS = 4
"""Number of levels after which pairs at a leaf are left out."""
FEW_PAIRS = 1 << 10
"""Number of pairs that take as long as the search for those at a leaf."""
MOST = 0.75
"""Share of pairs that are not at a leaf, up to which the others are left out."""
MAX_PAIRS = 1 << 20
"""Number of pairs whose leaves are in memory together."""

Walk = Callable[[np.ndarray, np.ndarray], None]
"""Function that adds the values of the leaves to sums, in the order of the trees.

It gets rows (n_rows, n_features) and float64 sums (n_rows, n_columns), both in C order.
"""


class Tree:
    """A fitted tree: what plans use of `sklearn.tree._tree.Tree`, with the same results.

    Attributes:
        n_features: Number of features.
        nodes: The array of nodes of scikit-learn.
        value: Values of the nodes, (n_nodes, n_outputs, n_classes).
        n_node_samples: Number of rows of the training at each node.
        splits: The nodes, validated.
    """

    def __init__(self, n_features: int, nodes: np.ndarray, values: np.ndarray) -> None:
        """Validate a tree, which may come from any file.

        Args:
            n_features: Number of features.
            nodes: Structured array in the form of the release that fitted the tree.
            values: Values of the nodes, (n_nodes, n_outputs, n_classes).

        Raises:
            ValueError: The nodes are not a tree, or the values do not belong to them.
        """
        missing = [name for name in _FIELDS if name not in (nodes.dtype.names or ())]
        if nodes.ndim != 1 or missing:
            raise ValueError("the nodes of a tree have other fields")
        if values.ndim != 3 or len(values) != len(nodes) or values.dtype != np.float64:
            raise ValueError("a tree has other values than its nodes")
        self.n_features, self.nodes, self.value = int(n_features), nodes, values
        self.n_node_samples = nodes["n_node_samples"]
        self.splits = Splits(
            nodes["left_child"].astype(np.intp),
            nodes["right_child"].astype(np.intp),
            nodes["feature"].astype(np.intp),
            nodes["threshold"].astype(np.float64),
            _missing_left(nodes),
        )
        self.splits.validate(self.n_features)
        self._traversal: Traversal | None = None
        self._lists: list[list[Any]] = []

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Return the index of the leaf of each of the float32 rows (n_rows, n_features)."""
        if len(rows) <= FEW_ROWS:
            return np.array([self._leaf(row) for row in rows.tolist()], np.intp)
        if self._traversal is None:
            self._traversal = Traversal([self.splits], np.float32)
        return np.asarray(self._traversal.leaf_nodes.take(self._traversal.leaves(rows)[0]))

    def _leaf(self, row: list[float]) -> int:
        """Return the leaf of one row. A loop takes less time than calls of numpy."""
        if not self._lists:
            self._lists = [array.tolist() for array in self.splits]
        left, right, feature, threshold, is_missing_left = self._lists
        node = 0
        while left[node] != LEAF:
            value = row[feature[node]]
            if value <= threshold[node]:
                node = left[node]
            else:
                is_left = math.isnan(value) and is_missing_left[node]
                node = left[node] if is_left else right[node]
        return node

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the values of the leaves, (n_rows, n_classes) for a tree of one output."""
        values = self.value.take(self.apply(rows), axis=0)
        return np.asarray(values[:, 0] if values.shape[1] == 1 else values)


def tree_of(estimator: Any) -> Any:
    """Return the fitted tree of an estimator, an own Tree if it is a record.

    Raises:
        ValueError: It is not a tree.
    """
    tree = estimator.tree_
    return Tree(tree.n_features, tree.nodes, tree.values) if is_record(tree) else tree


def splits_of(tree: Any) -> Splits:
    """Return the splits of a fitted tree.

    Raises:
        ValueError: The nodes are not a tree.
    """
    if isinstance(tree, Tree):
        return tree.splits
    nodes = np.asarray(tree.__getstate__()["nodes"])
    return Tree(tree.n_features, nodes, np.asarray(tree.value)).splits


_FIELDS = ("left_child", "right_child", "feature", "threshold", "n_node_samples")


def _missing_left(nodes: np.ndarray) -> np.ndarray:
    """Return where missing values go. Before scikit-learn 1.3 trees did not accept them."""
    if "missing_go_to_left" in (nodes.dtype.names or ()):
        return np.asarray(nodes["missing_go_to_left"] != 0)
    return np.zeros(len(nodes), np.bool_)


class Traversal:
    """The traversal of many trees.

    The leaves of all trees have consecutive numbers: those of the first tree from left to right,
    then those of the next tree.

    Attributes:
        leaf_nodes: The index of the node of each leaf, in all nodes of the trees one after another.
        comparisons: Mean number of comparisons for a row.
        quick_rows: Number of rows up to which compiled code would not take less time.
    """

    def __init__(self, trees: Sequence[Splits], dtype: Any) -> None:
        """Prepare the traversal of validated trees.

        Args:
            trees: The trees.
            dtype: The dtype of the rows, float32 or float64.
        """
        forest = Forest(trees)
        self._count = len(trees)
        self.leaf_nodes = forest.leaf_nodes
        self._masks: list[Masks] = []
        groups = grouped(forest, dtype)
        if groups is not None and sum(map(Masks.table_bytes, groups)) <= MAX_TABLES:
            self._masks = [Masks(group) for group in groups]
        self.comparisons = self._count * forest.mean_depth
        self.quick_rows = FEW_ROWS if self._masks else 0
        width = max((masks.width for masks in self._masks), default=0)
        trees_per_table = self._count / max(1, len(self._masks))
        by_masks = width * (trees_per_table + MASKS_PER_RANK)
        is_wide = by_masks > forest.mean_depth * trees_per_table * MASKS_PER_LEVEL
        self._by_level = _ByLevel(forest, dtype) if is_wide or not self._masks else None

    def leaves(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the leaf of each tree and row, (n_trees, n_rows) in C order."""
        if self._by_level is not None and len(rows) > self.quick_rows:
            return self._by_level.leaves(rows)
        if len(self._masks) == 1:
            return self._masks[0].leaves(rows)
        return np.concatenate([masks.leaves(rows) for masks in self._masks])

    def at_leaves(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return values by the number of the leaf, from those of the nodes of each tree."""
        return np.asarray(np.concatenate(arrays).take(self.leaf_nodes, axis=0))

    def walk(self, values: Sequence[np.ndarray], columns: int, scale: float = 1.0) -> Walk:
        """Return a function that adds up the values of the leaves.

        Args:
            values: The values of the nodes of each tree, (n_nodes,).
            columns: Number of columns of the sums. Trees belong to the columns in turn.
            scale: Factor of the values.
        """
        scaled = scale * self.at_leaves(values)
        step = max(1, MAX_PAIRS // self._count)

        def add(rows: np.ndarray, sums: np.ndarray) -> None:
            for first in range(0, len(rows), step):
                chosen = sums[first : first + step]
                terms = scaled.take(self.leaves(rows[first : first + step]))
                terms = terms.reshape((-1, columns, len(chosen)))
                terms[0] += chosen.T
                # numpy adds up a single column in pairs, so it is accumulated.
                sum_up = np.add.reduce if chosen.size > 1 else _accumulated
                chosen[:] = sum_up(terms, axis=0).T

        return add


def _accumulated(terms: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.add.accumulate(terms, axis=axis)[-1])


class _ByLevel:
    """The traversal of all trees level by level."""

    def __init__(self, forest: Forest, dtype: Any) -> None:
        order = np.concatenate(forest.levels)
        position = np.empty(len(order), np.intp)
        position[order] = np.arange(len(order))
        is_leaf = forest.is_leaf[order]
        self._count, self._depth = len(forest.roots), len(forest.levels) - 1
        # Siblings are next to each other, so the right child needs no array.
        self._left = np.where(is_leaf, np.arange(len(order)), position[forest.left[order]])
        self._feature = np.where(is_leaf, 0, forest.feature[order])
        thresholds = np.where(is_leaf, np.inf, forest.threshold[order])
        self._threshold = rounded_down(thresholds, dtype)
        self._is_missing_right = ~(is_leaf | forest.is_missing_left[order])
        self._is_inner = ~is_leaf
        self._leaf = forest.first[order]

    def leaves(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the leaf of each tree and row."""
        result = np.empty((self._count, len(rows)), np.intp)
        step = max(1, CHUNK // self._count)
        has_missing = bool(np.isnan(rows).any())
        for first in range(0, len(rows), step):
            chosen = rows[first : first + step]
            nodes = self._descend(np.ascontiguousarray(chosen), has_missing)
            result[:, first : first + step] = nodes.reshape((self._count, len(chosen)))
        return result

    def _descend(self, rows: np.ndarray, has_missing: bool) -> np.ndarray:
        count, width = rows.shape
        flat, start = rows.ravel(), np.tile(np.arange(count) * width, self._count)
        ends = nodes = np.repeat(np.arange(self._count), count)
        pairs: Any = slice(None)
        for level in range(self._depth):
            if level and level % LEVELS == 0 and len(nodes) > FEW_PAIRS:
                is_inner = self._is_inner.take(nodes)
                if np.count_nonzero(is_inner) < MOST * len(nodes):
                    ends[pairs] = nodes
                    kept = np.flatnonzero(is_inner)
                    pairs = kept if isinstance(pairs, slice) else pairs[kept]
                    nodes, start = nodes[kept], start[kept]
            indices = self._feature.take(nodes)
            if count > 1:
                indices += start
            values = flat.take(indices)
            is_right = values > self._threshold.take(nodes)
            if has_missing:
                is_right |= np.isnan(values) & self._is_missing_right.take(nodes)
            nodes = self._left.take(nodes)
            nodes += is_right
        ends[pairs] = nodes
        return np.asarray(self._leaf.take(ends))
