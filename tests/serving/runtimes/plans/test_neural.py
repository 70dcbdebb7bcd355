"""Neural networks by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, check_sparse, compile_plan, falls_back, random_rows
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::RuntimeWarning"
)

ACTIVATIONS = ["relu", "tanh", "logistic", "identity"]


@pytest.fixture(scope="module", params=[2, 3])
def labelled(request):
    classes = request.param
    rows, numbers = make_classification(200, 12, n_informative=8, n_classes=classes, random_state=0)
    return rows, np.array([f"class {number}" for number in numbers])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_classifier(labelled, activation):
    model = MLPClassifier((9, 7), activation=activation, max_iter=3, random_state=0)
    check(model.fit(*labelled), random_rows(12), ("predict", "predict_proba"))


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_regressor(targets, activation):
    rows, _ = make_classification(200, 12, random_state=0)
    model = MLPRegressor(hidden_layer_sizes=9, activation=activation, max_iter=3, random_state=0)
    check(model.fit(rows, np.squeeze(rows[:, :targets])), random_rows(12), ["predict"])


def test_sparse_rows(labelled):
    check_sparse(MLPClassifier(5, max_iter=5).fit(*labelled), 12, ("predict", "predict_proba"))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_the_estimator_refuses_have_no_plan_result(labelled, activation, value):
    """Even if a layer's function makes finite numbers of it."""
    plan = compile_plan(MLPClassifier(5, activation=activation, max_iter=5).fit(*labelled))
    for count in (1, 3, 70):
        rows = np.ones((count, 12))
        rows[count // 2, 7] = value
        for method in ("predict", "predict_proba"):
            assert falls_back(plan.batch[method], rows)
            assert falls_back(plan.row_by_row[method], rows)


def test_several_labels_at_once_have_no_plan():
    rows, _ = make_classification(100, 12, random_state=0)
    model = MLPClassifier(5, max_iter=5).fit(rows, rows[:, :3] > 0)
    with pytest.raises(Exception, match="several labels"):
        compile_plan(model)
