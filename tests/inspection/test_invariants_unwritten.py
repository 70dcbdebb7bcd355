"""Models that would answer with memory that they did not write are refused, as pickle and skops."""

import itertools

import numpy as np
import pytest
from altered_models import X, Y, assert_refused, assert_refused_in_both, findings, skops_findings
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

LABELS = np.c_[Y > 0, Y > 1, X[:, 0] > 0.5].astype(int)


DEGREES = (1, 2, 3, 7, (0, 2), (2, 2), (2, 3), (1, 4))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_numbers_of_columns_are_those_of_scikit_learn(width, tmp_path):
    rows = np.ones((3, width))
    for degree, product, bias in itertools.product(DEGREES, (False, True), (False, True)):
        altered = PolynomialFeatures(degree, interaction_only=product, include_bias=bias).fit(rows)
        assert findings(altered, tmp_path, 5) == [], altered
    altered = PolynomialFeatures(np.int64(2)).fit(rows)
    altered.n_output_features_ = np.int64(altered.n_output_features_)
    assert findings(altered, tmp_path, 5) == []
    assert skops_findings(PolynomialFeatures((2, 3)).fit(rows), tmp_path) == []
    assert findings(PolynomialFeatures(), tmp_path, 5) == []


CHANGES = {
    "_n_out_full": (5000, 14, 16, -1, None, "15"),
    "n_output_features_": (100, 14, 16, 0, 2**70),
    "_max_degree": (1, 3, 2**62),
    "_min_degree": (1, 2),
    "degree": (3, (0, 3), "2", None),
    "interaction_only": (True, 2, None, "yes"),
    "include_bias": (False, -1),
    "n_features_in_": (3, 5, None, 2**62),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in CHANGES.items() for v in vs])
def test_polynomials_that_count_other_columns(name, value, tmp_path):
    altered = PolynomialFeatures(2).fit(X)
    assert skops_findings(altered, tmp_path) == []
    setattr(altered, name, value)
    assert_refused_in_both(altered, tmp_path, "degree|columns|features|boolean")
    assert_refused(
        make_pipeline(altered, LogisticRegression()), tmp_path, "degree|columns|features|boolean"
    )


def test_polynomials_that_have_no_number_of_features(tmp_path):
    altered = PolynomialFeatures(2).fit(X)
    altered.n_input_features_ = 3
    assert_refused_in_both(altered, tmp_path, "one number of features")
    altered.n_input_features_ = 4
    assert findings(altered, tmp_path, 5) == []
    del altered.n_features_in_
    assert_refused_in_both(altered, tmp_path, "no number of features")


@pytest.mark.parametrize("width", [0, -3])
def test_polynomials_of_no_feature(width, tmp_path):
    altered = PolynomialFeatures(0).fit(X)
    altered.n_features_in_ = width
    assert_refused_in_both(altered, tmp_path, "one number of features")


def test_polynomials_of_0_24(tmp_path):
    """These have neither `_n_out_full` nor the two degrees."""
    altered = PolynomialFeatures(2).fit(X)
    altered.n_input_features_ = 4
    for name in ("_n_out_full", "_min_degree", "_max_degree", "n_features_in_"):
        delattr(altered, name)
    assert findings(altered, tmp_path, 5) == []
    altered.degree = 1
    assert_refused(altered, tmp_path, "columns", 5)


@pytest.mark.parametrize("huge", [2**31, 2**62])
def test_the_cost_of_counting_is_bounded(huge, tmp_path):
    for product in (False, True):
        altered = PolynomialFeatures(2, interaction_only=product).fit(X)
        altered.degree = altered._max_degree = altered.n_features_in_ = huge
        assert_refused(altered, tmp_path, "columns", 5)


CHAINS = {
    "classifiers": lambda: ClassifierChain(LogisticRegression(), order="random").fit(X, LABELS),
    "regressors": lambda: RegressorChain(DecisionTreeRegressor(max_depth=2)).fit(X, LABELS),
    "in a list": lambda: ClassifierChain(LogisticRegression(), order=[2, 0, 1]).fit(X, LABELS),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_that_lack_a_position(name, tmp_path):
    altered = CHAINS[name]()
    kind = type(altered.order_)
    assert findings(altered, tmp_path, 5) == skops_findings(altered, tmp_path) == []
    for wrong in ([0, 0, 1], [0, 1, 3], [-1, 0, 1]):
        altered.order_ = kind(wrong) if kind is list else np.array(wrong)
        assert_refused_in_both(
            altered, tmp_path, "order_ of a chain does not contain each column once"
        )


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("covariances", ["full", "tied", "diag", "spherical"])
def test_mixtures(kind, covariances, tmp_path):
    altered = kind(
        n_components=3, covariance_type=covariances, random_state=0, max_iter=500, tol=0.1
    ).fit(X)
    assert findings(altered, tmp_path, 5) == skops_findings(altered, tmp_path) == []
    if covariances == "full":
        altered.precisions_cholesky_ = altered.precisions_cholesky_[:1].copy()
        assert_refused_in_both(altered, tmp_path, "does not have one matrix for each mean")
