"""Support vector machines by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, compile_plan, falls_back, random_rows
from sklearn.datasets import make_classification, make_regression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from modelpack.serving.runtimes.plans import UnplannedError

DECIDED = ("predict", "decision_function")
KERNELS = ["linear", "rbf", "poly", "sigmoid"]


@pytest.fixture(scope="module", params=[2, 3, 5])
def labelled(request):
    classes = request.param
    rows, numbers = make_classification(
        80, 6, n_informative=5, n_redundant=0, n_classes=classes, random_state=0
    )
    return rows, np.array([f"class {number}" for number in numbers])


@pytest.mark.parametrize("kernel", KERNELS)
def test_classifier(labelled, kernel):
    model = SVC(kernel=kernel, gamma="scale").fit(*labelled)
    check(model, random_rows(6, 1000), DECIDED)


def test_classifier_after_scaling(labelled):
    model = make_pipeline(StandardScaler(), SVC(gamma="auto")).fit(*labelled)
    check(model, random_rows(6, 1000), DECIDED)


def test_rows_of_training(labelled):
    rows, _ = labelled
    check(SVC(gamma="scale").fit(*labelled), np.ascontiguousarray(rows), DECIDED)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_probabilities(labelled):
    model = SVC(gamma="scale", probability=True, random_state=0).fit(*labelled)
    check(model, random_rows(6, 500), (*DECIDED, "predict_proba"))


def test_pairs_of_classes(labelled):
    model = SVC(gamma="scale", decision_function_shape="ovo").fit(*labelled)
    check(model, random_rows(6, 500), DECIDED)


def test_broken_ties(labelled):
    model = SVC(gamma="scale", break_ties=True).fit(*labelled)
    check(model, random_rows(6, 500), DECIDED)
    model = SVC(gamma="scale", break_ties=True, decision_function_shape="ovo").fit(*labelled)
    with pytest.raises(UnplannedError, match="refuses"):
        compile_plan(model)


def test_nu_classifier(labelled):
    check(NuSVC(gamma="scale", nu=0.1).fit(*labelled), random_rows(6, 500), DECIDED)


@pytest.mark.parametrize("kind", [SVR, NuSVR])
@pytest.mark.parametrize("kernel", KERNELS)
def test_regressors(kind, kernel):
    rows, targets = make_regression(80, 6, noise=3, random_state=0)
    model = kind(kernel=kernel, gamma="scale").fit(rows, targets)
    check(model, random_rows(6, 500), ["predict"])


def test_outliers():
    rows, _ = make_regression(80, 6, random_state=0)
    check(OneClassSVM(gamma="scale").fit(rows), random_rows(6, 500), DECIDED)


def test_rows_that_libsvm_must_not_see(labelled):
    plan = compile_plan(SVC(gamma="scale").fit(*labelled))
    for bad in (np.full((1, 6), np.nan), np.full((2, 6), np.inf), np.zeros((1, 5))):
        for method in DECIDED:
            assert falls_back(plan.batch[method], bad)
            assert falls_back(plan.row_by_row[method], bad)


def test_rows_in_another_order_of_memory(labelled):
    model = SVC(gamma="scale").fit(*labelled)
    check(model, np.asfortranarray(random_rows(6, 100)), DECIDED)


def test_without_plan(labelled):
    rows, classes = labelled
    models = [
        SVC(kernel="precomputed").fit(rows @ rows.T, classes),
        SVC(kernel=lambda one, other: one @ other.T).fit(rows, classes),
    ]
    for model in models:
        with pytest.raises(UnplannedError, match="kernel"):
            compile_plan(model)


def test_altered_support_vectors_have_no_plan(labelled):
    model = SVC(gamma="scale").fit(*labelled)
    model._n_support[0] += 1
    with pytest.raises(UnplannedError, match="support vectors"):
        compile_plan(model)
