"""Clusters by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, compare, compile_plan, falls_back, random_rows
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:.*(matmul|multiply|subtract):RuntimeWarning"
)


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("clusters", [1, 2, 8])
def test_k_means(kind, clusters):
    rows = np.random.default_rng(0).normal(size=(300, 5))
    model = kind(n_clusters=clusters, n_init=1, random_state=0).fit(rows)
    check(model, rows * 2, ["predict", "transform"])


def test_after_scaling():
    rows = np.random.default_rng(0).normal(size=(300, 12))
    model = make_pipeline(StandardScaler(), KMeans(n_clusters=4, n_init=1, random_state=0))
    check(model.fit(rows), rows * 3, ["predict", "transform"])


def test_distances_of_rows_of_any_size():
    rows = np.random.default_rng(0).normal(size=(300, 5))
    model = KMeans(n_clusters=4, n_init=1, random_state=0).fit(rows)
    plan, extreme = compile_plan(model), random_rows(5, 1000)
    compare(plan.batch["transform"](extreme), model.transform(extreme), "transform")
    for row in extreme[:200].reshape(200, 1, 5):
        compare(plan.row_by_row["transform"](row), model.transform(row), "transform")


def test_rows_of_any_size_are_labelled_alike_or_left_to_the_estimator():
    rows = np.random.default_rng(0).normal(size=(300, 5))
    model = KMeans(n_clusters=4, n_init=1, random_state=0).fit(rows)
    plan, doubted = compile_plan(model), 0
    for row in (random_rows(5, 400) * 1e6).reshape(400, 1, 5):
        if falls_back(plan.batch["predict"], row):
            doubted += 1
        else:
            compare(plan.batch["predict"](row), model.predict(row), "predict")
    assert 0 < doubted < 100


def test_between_two_centres_the_estimator_decides():
    model = KMeans(n_clusters=2, n_init=1, random_state=0)
    model.fit(np.array([[0.0, 0.1], [0.0, 0.3], [3.0, 0.1], [3.0, 0.3]]))
    plan = compile_plan(model)
    middle = model.cluster_centers_.mean(axis=0).reshape(1, -1)
    for nearly in (middle, middle * (1 + 1e-15), middle + 1e-16):
        assert falls_back(plan.batch["predict"], nearly)
    assert not falls_back(plan.batch["predict"], middle + 1e-9)


@pytest.mark.parametrize("clusters", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_the_estimator_refuses_have_no_plan_result(clusters, value):
    """Even where a centre is zero, or the only one."""
    model = KMeans(n_clusters=clusters, n_init=1, random_state=0)
    model.fit(np.repeat([[0.0, 0.0], [0.0, 7.0], [0.0, 9.0]], 4, axis=0))
    plan = compile_plan(model)
    for count in (1, 3, 70):
        rows = np.ones((count, 2))
        rows[count // 2, 0] = value
        for method in ("predict", "transform"):
            assert falls_back(plan.batch[method], rows)
            assert falls_back(plan.row_by_row[method], rows)


def test_rows_in_another_order_of_memory():
    rows = np.random.default_rng(0).normal(size=(300, 5))
    model = KMeans(n_clusters=4, n_init=1, random_state=0).fit(rows)
    check(model, np.asfortranarray(rows), ["predict", "transform"])
