"""Naive Bayes by its plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, check_sparse, compare, compile_plan, falls_back, random_rows
from sklearn.datasets import make_classification
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from modelpack.serving.runtimes.plans import bayes

PROBABLE = ("predict", "predict_proba")


@pytest.fixture(scope="module", params=[2, 9])
def labelled(request):
    classes = request.param
    rows, numbers = make_classification(300, 12, n_informative=8, n_classes=classes, random_state=0)
    return rows, np.array([f"class {number}" for number in numbers])


def test_gaussian(labelled):
    check(GaussianNB().fit(*labelled), random_rows(12), PROBABLE)


def test_gaussian_of_rows_in_fortran_order(labelled):
    model = GaussianNB().fit(*labelled)
    plan = compile_plan(model)
    rows = np.asfortranarray(random_rows(12, 50))
    for method in ("predict", "predict_proba"):
        compare(plan.batch[method](rows), getattr(model, method)(rows), method)
    assert not falls_back(plan.row_by_row["predict"], rows)


def test_gaussian_of_too_many_rows(labelled):
    model = GaussianNB().fit(*labelled)
    rows = random_rows(12, bayes.LARGE // 20)
    for method in ("predict", "predict_proba"):
        compare(compile_plan(model).batch[method](rows), getattr(model, method)(rows), method)


@pytest.mark.parametrize("kind", [MultinomialNB, ComplementNB])
def test_counts(labelled, kind):
    rows, classes = labelled
    model = kind().fit(np.floor(np.abs(rows) * 3), classes)
    check(model, np.floor(np.abs(np.clip(random_rows(12), -50, 50))), PROBABLE)
    check(model, random_rows(12), PROBABLE)
    check_sparse(model, 12, PROBABLE)


def test_counts_of_zero(labelled):
    """All that there is are the priors, and some may be equal."""
    rows, _ = labelled
    model = MultinomialNB().fit(np.abs(rows), np.arange(len(rows)) % 3)
    assert len(set(model.class_log_prior_)) == 1
    check(model, np.zeros((5, 12)), PROBABLE)


@pytest.mark.parametrize("threshold", [0.0, 0.4, None])
def test_bernoulli(labelled, threshold):
    rows, classes = labelled
    model = BernoulliNB(binarize=threshold).fit((rows > 0) if threshold is None else rows, classes)
    check(model, (random_rows(12) > 0) * 1.0, PROBABLE)
    check(model, random_rows(12), PROBABLE)
    check_sparse(model, 12, PROBABLE)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", [GaussianNB, MultinomialNB, ComplementNB, BernoulliNB])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_the_estimator_refuses_have_no_plan_result(labelled, kind, value):
    rows, classes = labelled
    plan = compile_plan(kind().fit(np.abs(rows), classes))
    for count in (1, 3, 70):
        bad = np.ones((count, 12))
        bad[count // 2, 7] = value
        for method in PROBABLE:
            assert falls_back(plan.batch[method], bad)
            assert falls_back(plan.row_by_row[method], bad)
