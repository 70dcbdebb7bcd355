"""Linear models by their plans."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import check, check_sparse, compile_plan, falls_back, random_rows
from sklearn import linear_model, svm
from sklearn.datasets import make_classification, make_regression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning",
    "ignore::FutureWarning",
    "ignore:.* in matmul:RuntimeWarning",  # of infinity
)

SCORED = ("predict", "predict_proba", "decision_function")


@pytest.fixture(scope="module", params=[2, 3, 9])
def labelled(request):
    classes = request.param
    return make_classification(300, 12, n_informative=8, n_classes=classes, random_state=0)


def test_logistic_regression(labelled):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=50)).fit(*labelled)
    check(model, random_rows(12), SCORED)


@pytest.mark.parametrize("kind", [LogisticRegression, svm.LinearSVC, SGDClassifier])
def test_a_score_of_exactly_zero(kind):
    rows, classes = make_classification(100, 12, random_state=0)
    model = kind().fit(rows, classes)
    model.coef_ = np.zeros_like(model.coef_)
    model.intercept_ = np.zeros_like(model.intercept_)
    check(model, random_rows(12), ("predict", "decision_function"))
    assert set(compile_plan(model).batch["predict"](rows)) == {model.classes_[0]}


def test_logistic_regression_of_texts(labelled):
    rows, classes = labelled
    model = LogisticRegression(max_iter=50).fit(rows, np.array([f"class {c}" for c in classes]))
    check(model, random_rows(12), SCORED)


def test_logistic_regression_by_class(labelled):
    """The solver supports two classes only; until scikit-learn 1.7 it accepted more."""
    rows, classes = labelled
    model = LogisticRegression(solver="liblinear")
    check(model.fit(rows, classes > 0), random_rows(12), SCORED)


def test_logistic_regression_with_many_zeros(labelled):
    rows, classes = labelled
    model = LogisticRegression(penalty="l1", C=0.05, solver="liblinear").fit(rows, classes > 0)
    assert (model.coef_ == 0).any()
    check(model, random_rows(12), SCORED)
    for value in (np.nan, np.inf, -np.inf):
        for count in (1, 2, 40):
            rows = np.ones((count, 12))
            rows[-1] = np.where(model.coef_[0] == 0, value, 1.0)
            assert falls_back(compile_plan(model).batch["predict"], rows)
            assert falls_back(compile_plan(model).row_by_row["predict"], rows)


@pytest.mark.parametrize(
    "name",
    ["RidgeClassifier", "RidgeClassifierCV", "Perceptron", "PassiveAggressiveClassifier"],
)
def test_classifiers_without_probabilities(labelled, name):
    model = getattr(linear_model, name)().fit(*labelled)
    check(model, random_rows(12), ("predict", "decision_function"))


def test_linear_svc(labelled):
    model = svm.LinearSVC(max_iter=50).fit(*labelled)
    check(model, random_rows(12), ("predict", "decision_function"))


def test_cross_validated_logistic_regression():
    rows, classes = make_classification(200, 5, random_state=0)
    model = linear_model.LogisticRegressionCV(Cs=2, cv=2, max_iter=20).fit(rows, classes)
    check(model, random_rows(5), SCORED)


def test_stochastic_gradient(labelled):
    model = SGDClassifier(loss="log_loss", max_iter=20, random_state=0).fit(*labelled)
    check(model, np.clip(random_rows(12), -9, 9) / 100, SCORED)


def test_stochastic_gradient_of_modified_huber(labelled):
    rows, classes = labelled
    model = SGDClassifier(loss="modified_huber", max_iter=20, random_state=0).fit(rows, classes)
    certain = [row for row in random_rows(12) if not has_no_class(model, row)]
    assert len(certain) > 1000
    check(model, np.array(certain), SCORED)


def has_no_class(model, row):
    decided = model.decision_function(row.reshape(1, -1))
    return decided.ndim == 2 and (decided <= -1).all()


def test_rows_of_no_class():
    rows, classes = make_classification(300, 12, n_informative=8, n_classes=3, random_state=0)
    model = SGDClassifier(loss="modified_huber", max_iter=20, random_state=0).fit(rows, classes)
    nowhere = np.array([row for row in random_rows(12) if has_no_class(model, row)])
    assert len(nowhere) > 10
    check(model, nowhere, SCORED)


def test_stochastic_gradient_without_probabilities(labelled):
    model = SGDClassifier(loss="hinge", max_iter=20, random_state=0).fit(*labelled)
    check(model, random_rows(12), ("predict", "decision_function"))
    assert "predict_proba" not in compile_plan(model).batch


@pytest.mark.parametrize("solver", ["svd", "eigen", "lsqr"])
def test_discriminant_analysis(labelled, solver):
    shrinkage = None if solver == "svd" else "auto"
    model = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage).fit(*labelled)
    check(model, random_rows(12), SCORED if solver == "lsqr" else (*SCORED, "transform"))


REGRESSORS = [
    "ARDRegression",
    "BayesianRidge",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "Lars",
    "Lasso",
    "LassoCV",
    "LassoLars",
    "LassoLarsIC",
    "LinearRegression",
    "OrthogonalMatchingPursuit",
    "PassiveAggressiveRegressor",
    "QuantileRegressor",
    "Ridge",
    "RidgeCV",
    "SGDRegressor",
    "TheilSenRegressor",
]


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name):
    rows, targets = make_regression(80, 7, noise=3, random_state=0)
    check(getattr(linear_model, name)().fit(rows, targets), random_rows(7, 1000), ["predict"])


def test_linear_svr():
    rows, targets = make_regression(80, 7, noise=3, random_state=0)
    check(svm.LinearSVR().fit(rows, targets), random_rows(7), ["predict"])


@pytest.mark.parametrize("name", ["LinearRegression", "Ridge", "Lasso", "MultiTaskLasso"])
@pytest.mark.parametrize("targets", [1, 3])
def test_several_targets(name, targets):
    rows, several = make_regression(80, 7, n_targets=targets, noise=3, random_state=0)
    model = getattr(linear_model, name)().fit(rows, several.reshape(-1, targets))
    check(model, random_rows(7), ["predict"])


def test_without_intercept():
    rows, targets = make_regression(80, 7, random_state=0)
    model = linear_model.LinearRegression(fit_intercept=False).fit(rows, targets)
    check(model, random_rows(7), ["predict"])


def test_single_column():
    rows, targets = make_regression(80, 1, random_state=0)
    check(linear_model.LinearRegression().fit(rows, targets), random_rows(1), ["predict"])


def test_fitted_on_float32():
    rows, targets = make_regression(80, 7, random_state=0)
    model = linear_model.Ridge().fit(rows.astype(np.float32), targets.astype(np.float32))
    assert model.coef_.dtype == np.float32
    check(model, random_rows(7), ["predict"])


@pytest.mark.parametrize("name", ["GammaRegressor", "PoissonRegressor", "TweedieRegressor"])
def test_generalized(name):
    rows, targets = make_regression(80, 7, random_state=0)
    model = getattr(linear_model, name)(max_iter=20).fit(rows, np.exp(targets / 100))
    check(model, np.clip(random_rows(7), -20, 20), ["predict"])


def test_generalized_of_power_two():
    rows, targets = make_regression(80, 7, random_state=0)
    model = linear_model.TweedieRegressor(power=2).fit(rows, np.exp(targets / 100))
    check(model, np.clip(random_rows(7), -20, 20), ["predict"])


def test_sparse_rows(labelled):
    rows, classes = labelled
    check_sparse(LogisticRegression(max_iter=50).fit(rows, classes), 12, SCORED)
    check_sparse(linear_model.Ridge().fit(rows, classes), 12, ["predict"])
    check_sparse(linear_model.Ridge().fit(rows, rows[:, :2]), 12, ["predict"])
    check_sparse(svm.LinearSVC(max_iter=50).fit(rows, classes), 12, ["predict"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_the_estimator_refuses_have_no_plan_result(labelled, value):
    plan = compile_plan(LogisticRegression(max_iter=50).fit(*labelled))
    for count in (1, 3, 70):
        rows = np.ones((count, 12))
        rows[count // 2, 7] = value
        for method in SCORED:
            assert falls_back(plan.batch[method], rows)
            assert falls_back(plan.row_by_row[method], rows)


def test_sparse_coefficients_have_no_plan():
    rows, classes = make_classification(100, 5, random_state=0)
    model = LogisticRegression().fit(rows, classes).sparsify()
    with pytest.raises(Exception, match="not a dense array"):
        compile_plan(model)
