"""The trees of XGBoost: what its code goes by without a look at any bound.

Of each node, arrays hold its parent, the left and the right child (-1: it is a leaf), the feature
that it asks for and how (0: by a threshold; 1: by a set of categories). It is walked from the root
on, node 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .. import limits
from ..invariants import CODE
from ..nodes import require

_LEAF = -1
_NUMBER = 2**31 - 1  # of a parent: in the binary format the bit above tells which child it has
_LARGEST_CATEGORY = 2**24
"""XGBoost takes no category from this on, and a bit of memory for each below the largest."""


@dataclass(frozen=True)
class Tree:
    """`sets`: for a node that asks for categories, where its own lie in `categories`."""

    parents: Sequence[int]
    left: Sequence[int]
    right: Sequence[int]
    features: Sequence[int]
    thresholds: Sequence[float]
    kinds: Sequence[int] = ()
    sets: Sequence[tuple[int, int, int]] = ()  # node, start, count
    categories: Sequence[int] = field(default=())


def check_tree(tree: Tree, n_features: int) -> None:
    """Raises:
    Malformed: going through it would lead out of it, out of the row, or in a circle.
    """
    count = len(tree.left)
    arrays = (tree.parents, tree.right, tree.features, tree.thresholds, *filter(len, (tree.kinds,)))
    require(
        count > 0 and all(len(each) == count for each in arrays),
        "the arrays of a tree of XGBoost differ in length",
        CODE,
    )
    _check_walk(tree, count, n_features)
    _check_sets(tree, count)


def _check_walk(tree: Tree, count: int, n_features: int) -> None:
    seen = bytearray(count)
    level, depth = [0], 0
    while level:
        message = f"a tree of XGBoost is deeper than {limits.TREE_DEPTH:,} levels"
        require(depth <= limits.TREE_DEPTH, message, "limit")
        below: list[int] = []
        for node in level:
            require(
                0 <= node < count, f"a tree has {count:,} nodes, and one has child {node:,}", CODE
            )
            require(not seen[node], f"node {node:,} of a tree is reached twice", CODE)
            seen[node] = 1
            below += _children(tree, node, count, n_features)
        level, depth = below, depth + 1


def _children(tree: Tree, node: int, count: int, n_features: int) -> tuple[int, ...]:
    children = tree.left[node], tree.right[node]
    if children == (_LEAF, _LEAF):
        return ()
    feature = tree.features[node]
    fits = 0 <= feature < n_features
    require(fits, f"a tree asks for feature {feature:,}, and there are {n_features:,}", CODE)
    told = {tree.parents[child] & _NUMBER for child in children if 0 <= child < count}
    require(told <= {node}, f"a child of node {node:,} of a tree tells of another", CODE)
    return children


def _check_sets(tree: Tree, count: int) -> None:
    known = len(tree.categories)
    told = set()
    for node, start, size in tree.sets:
        told.add(node)
        fits = 0 <= node < count and start >= 0 and size >= 0 and start + size <= known
        require(fits, "the sets of categories of a tree are not where it tells", CODE)
    asking = {
        node for node, kind in enumerate(tree.kinds) if kind != 0 and tree.left[node] != _LEAF
    }
    require(asking <= told, "a node of a tree asks for categories and has none", CODE)
    fits = all(0 <= category < _LARGEST_CATEGORY for category in tree.categories)
    require(fits, "a tree asks for a category that is out of range", CODE)


def check_groups(groups: Sequence[int], n_trees: int, n_groups: int) -> None:
    """Which output each tree adds to."""
    fits = len(groups) == n_trees and all(0 <= group < n_groups for group in groups)
    require(fits, "the trees of an XGBoost model add to outputs that it does not have", CODE)


def check_rounds(starts: Sequence[int], n_trees: int) -> None:
    """With which tree each round of boosting begins, and the end."""
    rises = all(low <= high for low, high in pairwise(starts))
    fits = not starts or (starts[0] == 0 and rises and starts[-1] == n_trees)
    require(fits, "the rounds of an XGBoost model do not hold its trees", CODE)
