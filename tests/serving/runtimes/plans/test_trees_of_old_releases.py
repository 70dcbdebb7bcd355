"""Formulas of earlier releases of scikit-learn in plans of records of trees."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import random_rows
from plan_trees import plain_record, plan_of_record
from scipy.special import expit, logsumexp
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

WIDTH = 7
ROWS = random_rows(WIDTH, 300)
EPSILON = np.finfo(np.float32).eps


def fitted(model, count=3):
    return model.fit(
        *make_classification(300, WIDTH, n_informative=5, n_classes=count, random_state=0)
    )


def results(record, release):
    """Return the results of each method, after a comparison with those of single rows."""
    plan = plan_of_record(record, release=release)
    for name, method in plan.batch.items():
        singly = np.concatenate([plan.row_by_row[name](row[np.newaxis]) for row in ROWS[:9]])
        np.testing.assert_allclose(singly, method(ROWS[:9]), rtol=1e-13)
    return {name: method(ROWS) for name, method in plan.batch.items()}


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("release", [(0, 20), (0, 24), (1, 3)])
def test_trees_divide_counts_by_their_sums(release):
    for model in (DecisionTreeClassifier(max_depth=3), RandomForestClassifier(5, n_jobs=1)):
        record = plain_record(fitted(model))
        for each in getattr(record, "estimators_", [record]):
            each.tree_.values = each.tree_.values * 12  # a power of 2 would be exact
        got = results(record, release)
        close(got["predict_proba"], model.predict_proba(ROWS))
        assert np.array_equal(got["predict"], model.predict(ROWS))


@pytest.mark.parametrize("count", [2, 3])
def test_boosting_before_1_4(count):
    model = fitted(GradientBoostingClassifier(n_estimators=4), count)
    record = plain_record(model)
    got = results(record, (1, 3))
    prior = np.clip(record.init_.class_prior_, EPSILON, 1 - EPSILON)
    first = np.log(prior) if count > 2 else np.log(prior[1] / prior[0])
    own_first = first - np.log(prior).mean() if count > 2 else first
    scores = model.decision_function(ROWS) - own_first + first
    close(got["decision_function"], scores)
    shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True)) if count > 2 else None
    expected = np.stack([1 - expit(scores), expit(scores)], axis=1) if count == 2 else shares
    close(got["predict_proba"], expected)
    assert np.array_equal(got["predict"], model.predict(ROWS))


@pytest.mark.parametrize(
    ("count", "name", "value"), [(2, "prior", 0.25), (3, "priors", [0.5, 0.2, 0.3])]
)
def test_boosting_before_0_21(count, name, value):
    """The estimators of initial values had other attributes."""
    record = plain_record(fitted(GradientBoostingClassifier(n_estimators=2), count))
    record.init = "zero"
    without = results(record, (1, 3))["decision_function"]
    record.init = None
    del record.init_.class_prior_
    setattr(record.init_, name, np.array(value))
    close(results(record, (0, 20))["decision_function"], without + np.array(value))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("release", [(0, 24), (1, 0), (1, 4)])
def test_histograms_of_earlier_releases(count, release):
    model = fitted(HistGradientBoostingClassifier(max_iter=4), count)
    got = results(plain_record(model), release)
    assert np.array_equal(got["decision_function"], model.decision_function(ROWS))
    close(got["predict_proba"], model.predict_proba(ROWS))
    assert np.array_equal(got["predict"], model.predict(ROWS))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("release", [(0, 20), (0, 22), (1, 2), (1, 5)])
@pytest.mark.parametrize("algorithm", ["SAMME", "SAMME.R"])
def test_adaboost_of_earlier_releases(count, release, algorithm):
    model = fitted(AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=4), count)
    record = plain_record(model)
    record.algorithm = algorithm
    got = results(record, release)
    total = model.estimator_weights_.sum()
    votes = [_votes(each, model, weight, algorithm, release) for each, weight in weighted(model)]
    scores = sum(votes) / total
    expected = scores[:, 1] - scores[:, 0] if count == 2 else scores
    close(got["decision_function"], expected)
    assert np.array_equal(got["predict"], model.classes_[np.argmax(scores, axis=1)])
    if release < (0, 22):
        if algorithm == "SAMME":
            scores = sum(each.predict_proba(ROWS) * weight for each, weight in weighted(model))
            scores = scores / total
        powers = np.exp(scores / (count - 1))
    else:
        powers = np.exp(scores - scores[:, ::-1]) ** 0.5 if count == 2 else np.exp(scores / 2)
    close(got["predict_proba"], powers / powers.sum(axis=1, keepdims=True))


def weighted(model):
    return list(zip(model.estimators_, model.estimator_weights_, strict=True))


def _votes(estimator, model, weight, algorithm, release):
    count = len(model.classes_)
    if algorithm == "SAMME.R":
        logarithms = np.log(np.clip(estimator.predict_proba(ROWS), np.finfo(float).eps, None))
        return (count - 1) * (logarithms - logarithms.mean(axis=1, keepdims=True))
    is_chosen = estimator.predict(ROWS)[:, np.newaxis] == model.classes_
    return np.where(is_chosen, weight, -weight / (count - 1) if release >= (1, 3) else 0)


def test_isolation_forest_of_0_20():
    model = IsolationForest(n_estimators=9, random_state=0).fit(ROWS)
    got = results(plain_record(model), (0, 20))["decision_function"]
    depths = []
    for tree in model.estimators_:
        counts = tree.tree_.n_node_samples[tree.apply(ROWS)]
        steps = np.ravel(tree.decision_path(ROWS).sum(axis=1)) - 1
        depths.append(steps + np.where(counts > 1, _usual(np.maximum(counts, 2)), 1))
    scores = 2 ** (-np.mean(depths, axis=0) / _usual(model.max_samples_))
    np.testing.assert_allclose(got, -scores - model.offset_, rtol=1e-9, atol=1e-14)


def _usual(count):
    return 2 * (np.log(count - 1) + np.euler_gamma) - 2 * (count - 1) / count
