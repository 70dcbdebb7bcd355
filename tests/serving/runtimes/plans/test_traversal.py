"""The traversal of trees by numpy, compared with a loop over nodes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelpack.serving.runtimes.plans import ranks, traversal
from modelpack.serving.runtimes.plans.nodes import LEAF, Splits

WIDTH = 7
VALUES = [-np.inf, -1e300, -1.5, -0.0, 0.0, 1e-320, 0.1, 0.3, 1.0, 2.5, 1e300, np.inf]
THRESHOLDS = [value for value in VALUES if value > -np.inf]


def grown(leaves, generator, share_of_chain=0.0):
    """Return a tree of random splits; `share_of_chain` of them split the newest leaf."""
    left, right, is_open = [LEAF], [LEAF], [0]
    while len(is_open) < leaves:
        newest = generator.random() < share_of_chain
        node = is_open.pop(-1 if newest else generator.integers(len(is_open)))
        left[node], right[node] = len(left), len(left) + 1
        is_open += [len(left), len(left) + 1]
        left += [LEAF, LEAF]
        right += [LEAF, LEAF]
    count = len(left)
    tree = Splits(
        np.array(left),
        np.array(right),
        generator.integers(WIDTH, size=count),
        np.where(generator.random(count) < 0.5, generator.choice(THRESHOLDS, count), 0.25),
        generator.random(count) < 0.5,
    )
    tree.threshold[:] = np.where(
        tree.threshold == 0.25, generator.normal(size=count), tree.threshold
    )
    tree.validate(WIDTH)
    return tree


def make_rows(count, dtype, share_missing, generator):
    rows = generator.normal(size=(count, WIDTH))
    special = generator.random(rows.shape) < 0.3
    rows[special] = generator.choice(VALUES, np.count_nonzero(special))
    rows[generator.random(rows.shape) < share_missing] = np.nan
    with np.errstate(over="ignore"):
        return rows.astype(dtype)


def by_loop(tree, row):
    node = 0
    while tree.left[node] != LEAF:
        value = float(row[tree.feature[node]])
        is_missing_left = math.isnan(value) and tree.is_missing_left[node]
        is_left = value <= tree.threshold[node] or is_missing_left
        node = tree.left[node] if is_left else tree.right[node]
    return node


def check(trees, dtype, generator, counts=(1, 3, 90)):
    tested = traversal.Traversal(trees, dtype)
    roots = np.cumsum([0, *(len(tree.left) for tree in trees)])
    for count in counts:
        for share_missing in (0.0, 0.1):
            rows = make_rows(count, dtype, share_missing, generator)
            found = tested.leaf_nodes.take(tested.leaves(rows))
            for number, tree in enumerate(trees):
                expected = [roots[number] + by_loop(tree, row) for row in rows]
                assert found[number].tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("leaves", [2, 8, 9, 16, 17, 32, 33, 53, 54, 300])
def test_trees_of_a_number_of_leaves(leaves, dtype):
    generator = np.random.default_rng(leaves)
    check([grown(each, generator) for each in (leaves, 1, leaves, 2)], dtype, generator)


def test_several_tables():
    generator = np.random.default_rng(0)
    trees = [grown(size, generator) for size in [3] * 128 + [20] * 5]
    check(trees, np.float64, generator, (1, 40))


def test_deep_trees_whose_rows_end_at_different_levels(monkeypatch):
    monkeypatch.setattr(traversal, "FEW_PAIRS", 8)
    generator = np.random.default_rng(1)
    check([grown(90, generator, 0.9) for _ in range(3)], np.float32, generator, (1, 90))


def test_wide_rows(monkeypatch):
    monkeypatch.setattr(traversal, "MASKS_PER_LEVEL", 0)
    generator = np.random.default_rng(2)
    check([grown(12, generator) for _ in range(3)], np.float64, generator)


def test_many_thresholds_of_one_feature(monkeypatch):
    monkeypatch.setattr(ranks, "MAX_PADDED", 4)
    generator = np.random.default_rng(3)
    check([grown(12, generator) for _ in range(3)], np.float64, generator)


def test_ranks_are_numbers_of_lower_thresholds():
    thresholds = [np.array([]), np.array([0.5]), np.arange(9.0), np.array([0.5, 2.0, np.inf])]
    found = ranks.Ranks(thresholds, np.float64)
    values = np.array([-np.inf, 0.0, 0.5, 0.6, 7.0, 8.0, 9.0, np.inf])
    expected = [values[:, np.newaxis] > each for each in thresholds]
    got = found.rank(np.tile(values, (4, 1)))
    assert got.tolist() == [np.count_nonzero(each, axis=1).tolist() for each in expected]
