"""The nodes of decision trees as arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

LEAF = -1
"""Index of a child that a leaf does not have."""


class Splits(NamedTuple):
    """The nodes of a tree; the first one is the root.

    Attributes:
        left: Index of the left child of each node, LEAF for a leaf.
        right: Index of the right child.
        feature: Index of the feature that an inner node compares.
        threshold: Largest value that goes to the left child.
        is_missing_left: Whether a missing value goes to the left child.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    is_missing_left: np.ndarray

    def validate(self, n_features: int) -> None:
        """Check that the nodes are one binary tree of `n_features` features.

        Raises:
            ValueError: They are not.
        """
        count, is_leaf = len(self.left), self.left == LEAF
        if not count or any(array.shape != (count,) for array in self):
            raise ValueError("a tree has no nodes")
        if not np.array_equal(is_leaf, self.right == LEAF):
            raise ValueError("a node has a single child")
        inner = np.flatnonzero(~is_leaf)
        children = np.concatenate([self.left[inner], self.right[inner]])
        if (children <= np.concatenate([inner, inner])).any() or (children >= count).any():
            raise ValueError("a child does not follow its parent")
        if not np.array_equal(np.sort(children), np.arange(1, count)):
            raise ValueError("a node does not have exactly one parent")
        feature, threshold = self.feature[inner], self.threshold[inner]
        if (feature < 0).any() or (feature >= n_features).any():
            raise ValueError("a node compares an unknown feature")
        # A split of missing and other values has an infinite threshold.
        if not (threshold > -np.inf).all():
            raise ValueError("a threshold is not a number")


class Forest:
    """The nodes of all trees in common arrays, with the numbers of their leaves.

    Attributes:
        levels: The nodes of each level of all trees, siblings next to each other.
        first: The lowest number of the leaves below each node.
        roots: The root of each tree.
        leaf_nodes: The node of each leaf.
        mean_depth: Mean number of comparisons before a leaf.
    """

    def __init__(self, trees: Sequence[Splits]) -> None:
        sizes = [len(tree.left) for tree in trees]
        self.roots = np.cumsum([0, *sizes[:-1]])
        offsets = np.repeat(self.roots, sizes)
        left, right, feature, threshold, is_left = (np.concatenate(each) for each in zip(*trees))
        self.is_leaf = left == LEAF
        self.left = np.where(self.is_leaf, LEAF, left + offsets)
        self.right = np.where(self.is_leaf, LEAF, right + offsets)
        self.feature, self.threshold, self.is_missing_left = feature, threshold, is_left
        self.levels = self._by_level()
        self.first = self._numbers()
        leaves = np.flatnonzero(self.is_leaf)
        self.leaf_nodes = np.empty(len(leaves), np.intp)
        self.leaf_nodes[self.first[leaves]] = leaves
        counts = [np.count_nonzero(self.is_leaf[level]) for level in self.levels]
        self.mean_depth = float(np.average(np.arange(len(counts)), weights=counts))

    def _by_level(self) -> list[np.ndarray]:
        levels = [self.roots]
        while True:
            inner = levels[-1][~self.is_leaf[levels[-1]]]
            if not len(inner):
                return levels
            levels.append(np.column_stack([self.left[inner], self.right[inner]]).ravel())

    def _numbers(self) -> np.ndarray:
        counts = self.is_leaf.astype(np.intp)
        inners = [level[~self.is_leaf[level]] for level in self.levels]
        for inner in reversed(inners):
            counts[inner] = counts[self.left[inner]] + counts[self.right[inner]]
        first = np.zeros(len(counts), np.intp)
        first[self.roots] = np.cumsum(counts[self.roots]) - counts[self.roots]
        for inner in inners:
            first[self.left[inner]] = first[inner]
            first[self.right[inner]] = first[inner] + counts[self.left[inner]]
        return first


def rounded_down(thresholds: np.ndarray, dtype: Any) -> np.ndarray:
    """Convert thresholds to the dtype of the rows, which compare with them as before."""
    with np.errstate(over="ignore"):
        rounded = thresholds.astype(dtype)
    is_above = rounded > thresholds
    rounded[is_above] = np.nextafter(rounded[is_above], np.array(-np.inf, dtype))
    return np.asarray(rounded)
