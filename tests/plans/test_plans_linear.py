"""Linear models by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, random_rows
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SCORED = ("predict", "predict_proba", "decision_function")


@pytest.fixture(params=[2, 3, 9])
def labelled(request):
    classes = request.param
    return make_classification(300, 12, n_informative=8, n_classes=classes, random_state=0)


def test_logistic_regression(labelled):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=50)).fit(*labelled)
    check(model, random_rows(12), SCORED)


def test_logistic_regression_of_texts(labelled):
    rows, classes = labelled
    model = LogisticRegression(max_iter=50).fit(rows, np.array([f"class {c}" for c in classes]))
    check(model, random_rows(12), SCORED)
