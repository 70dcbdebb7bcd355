"""Nearest neighbors of records: ties, and what has no plan."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import compile_plan
from plan_records import to_record
from record_checks import record_plan
from scipy import special
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor

from modelpack.serving.runtimes.plans import UnplannedError, neighbors
from modelpack.serving.runtimes.plans.distributions import digamma
from modelpack.serving.runtimes.plans.nearest import Heap, by_order, introselect
from modelpack.serving.runtimes.plans.records import make_record

GENERATOR = np.random.default_rng(0)
ROWS = np.round(GENERATOR.normal(size=(400, 3)))
NUMBERS = GENERATOR.normal(size=400)
TESTED = np.round(GENERATOR.normal(size=(500, 3)) * 2) / 2


def tree_record(tree):
    names = ("data", "idx_array", "node_data", "node_bounds")
    values = (np.asarray(each) for each in tree.__getstate__()[:4])
    return make_record(
        "sklearn.neighbors._kd_tree", type(tree).__name__, dict(zip(names, values, strict=True))
    )


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "chebyshev", "minkowski"])
@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
def test_same_neighbors_are_chosen_of_several_at_one_distance(algorithm, metric):
    model = KNeighborsRegressor(4, algorithm=algorithm, metric=metric, p=3, leaf_size=7)
    model.fit(ROWS, NUMBERS)
    record = to_record(model, {"KDTree": tree_record, "BallTree": tree_record})
    got = compile_plan(record).batch["predict"](TESTED)
    np.testing.assert_allclose(got, model.predict(TESTED), rtol=1e-14, atol=1e-15)


def test_heap_and_partition_keep_the_smallest_numbers():
    for _ in range(200):
        values = GENERATOR.integers(0, 9, GENERATOR.integers(5, 90)).astype(float)
        count = int(GENERATOR.integers(1, len(values) + 1))
        smallest = np.sort(values)[:count].tolist()
        chosen = by_order(count)(values, values)
        assert sorted(values[chosen].tolist()) == smallest
        assert sorted(values[introselect(values.tolist(), count - 1)[:count]]) == smallest
        heap = Heap(count)
        for number, value in enumerate(values.tolist()):
            heap.push(value, number)
        assert heap.numbers == chosen


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (KNeighborsRegressor(metric="canberra", algorithm="brute"), "the metric canberra"),
        (KNeighborsRegressor(weights=np.sqrt, algorithm="brute"), "a function of the author"),
        (LocalOutlierFactor(60, algorithm="brute"), "without novelty=True"),
    ],
)
def test_setting_without_a_plan_is_named(model, reason):
    with pytest.raises(UnplannedError, match=reason):
        record_plan(model.fit(ROWS, NUMBERS))


def test_large_training_has_no_plan(monkeypatch):
    model = KNeighborsClassifier(algorithm="brute").fit(ROWS, NUMBERS > 0)
    record_plan(model)
    monkeypatch.setattr(neighbors, "LARGEST", ROWS.size - 1)
    with pytest.raises(UnplannedError, match="has more than"):
        record_plan(model)


def test_estimator_itself_has_no_plan():
    with pytest.raises(UnplannedError, match="KNeighborsRegressor has no plan"):
        compile_plan(KNeighborsRegressor().fit(ROWS, NUMBERS))


def test_tree_that_leaves_out_a_row_is_rejected():
    model = KNeighborsRegressor(algorithm="kd_tree").fit(ROWS, NUMBERS)
    record = to_record(model, {"KDTree": tree_record})
    order = np.array(record._tree.idx_array)
    order[0] = len(order)
    record._tree.idx_array = order
    with pytest.raises(UnplannedError, match="has no compiled form"):
        compile_plan(record)


def test_digamma_is_that_of_scipy():
    values = np.concatenate([GENERATOR.uniform(1e-3, 40, 500), np.arange(1, 30), [1e3, 1e18]])
    np.testing.assert_allclose(digamma(values), special.digamma(values), rtol=1e-14, atol=1e-15)
    with pytest.raises(ValueError, match="not positive"):
        digamma([-1.0])
