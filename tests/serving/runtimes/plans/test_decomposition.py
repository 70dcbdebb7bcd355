"""Projections by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, check_sparse, compile_plan, falls_back, random_rows
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

ROWS, CLASSES = make_classification(200, 12, n_informative=8, n_classes=3, random_state=0)


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("whiten", [False, True])
def test_principal_components(count, whiten):
    model = PCA(count, whiten=whiten).fit(ROWS)
    check(model, random_rows(12), ["transform"])
    check(model, np.tile(ROWS.mean(axis=0), (3, 1)), ["transform"])


def test_components_of_almost_no_variance():
    rows = np.hstack([ROWS[:, :3], ROWS[:, :3] * 1e-200])
    check(PCA(whiten=True, svd_solver="full").fit(rows), random_rows(6), ["transform"])


def test_before_a_classifier():
    model = make_pipeline(PCA(5), LogisticRegression(max_iter=50)).fit(ROWS, CLASSES)
    check(model, random_rows(12), ["predict", "predict_proba", "decision_function"])


def test_singular_values():
    model = TruncatedSVD(4, random_state=0).fit(ROWS)
    check(model, random_rows(12), ["transform"])
    check_sparse(model, 12, ["transform"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("model", [PCA(2), TruncatedSVD(2)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_the_estimator_refuses_have_no_plan_result(model, value):
    plan = compile_plan(model.fit(ROWS))
    for count in (1, 3, 70):
        rows = np.ones((count, 12))
        rows[count // 2, 7] = value
        assert falls_back(plan.batch["transform"], rows)
        assert falls_back(plan.row_by_row["transform"], rows)
