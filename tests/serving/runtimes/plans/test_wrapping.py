"""Plans of meta-estimators."""

from __future__ import annotations

import numpy as np
import plan_checks
import pytest
from plan_checks import compile_plan, falls_back, random_rows
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RANSACRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from modelpack.serving.runtimes.estimator import Chain
from modelpack.serving.runtimes.plans import UnplannedError
from modelpack.serving.runtimes.wrappers import Labelled

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PROBABLE = ("predict", "predict_proba")


@pytest.fixture(scope="module", params=[2, 9])
def labelled(request):
    classes = request.param
    rows, numbers = make_classification(150, 12, n_informative=8, n_classes=classes, random_state=0)
    return rows, np.array([f"class {number}" for number in numbers])


@pytest.fixture(scope="module")
def targeted():
    rows, _ = make_classification(150, 6, random_state=0)
    return rows, np.exp(rows[:, 0] / 3) + rows[:, 1] ** 2


def check(model, rows, planned):
    """Check few single rows: meta-estimators are slow."""
    plan_checks.check(model, rows, planned, single_rows=6)


def logistic(**settings):
    return LogisticRegression(max_iter=5, **settings)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("inner", [logistic(), GaussianNB(), RidgeClassifier()])
def test_calibrated(labelled, method, inner):
    model = CalibratedClassifierCV(inner, method=method, cv=2).fit(*labelled)
    proba = compile_plan(model).batch["predict_proba"]
    certain = [row for row in random_rows(12, 120) if not falls_back(proba, row.reshape(1, -1))]
    assert len(certain) > 40
    check(model, np.array(certain), PROBABLE)


def test_calibrated_pipeline(labelled):
    inner = make_pipeline(StandardScaler(), logistic())
    model = CalibratedClassifierCV(inner, cv=2).fit(*labelled)
    check(model, np.clip(random_rows(12), -5, 5), PROBABLE)


def test_calibrated_after_it_was_fitted(labelled):
    inner = FrozenEstimator(logistic().fit(*labelled))
    model = CalibratedClassifierCV(inner).fit(*labelled)
    check(model, np.clip(random_rows(12), -5, 5), PROBABLE)


def test_calibrated_on_pairs_has_no_plan():
    rows, classes = make_classification(200, 8, n_informative=5, n_classes=4, random_state=0)
    inner = SVC(gamma="scale", decision_function_shape="ovo")
    with pytest.raises(UnplannedError):
        compile_plan(CalibratedClassifierCV(inner, cv=2).fit(rows, classes))


def voters():
    return [
        ("one", logistic()),
        ("two", GaussianNB()),
        ("three", make_pipeline(StandardScaler(), logistic(C=0.01))),
    ]


@pytest.mark.parametrize("weights", [None, [1, 2, 3], [0.1, 0.2, 0.3]])
def test_voting(labelled, weights):
    model = VotingClassifier(voters(), voting="soft", weights=weights).fit(*labelled)
    check(model, random_rows(12), PROBABLE)
    model = VotingClassifier(voters(), voting="hard", weights=weights).fit(*labelled)
    check(model, random_rows(12, 500), ["predict"])


@pytest.mark.parametrize("count", [2, 9, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_voting_regressor(targeted, count, weighted):
    regressors = [(f"number {n}", Ridge(alpha=10.0**n)) for n in range(count)]
    weights = [0.1 + n / 7 for n in range(count)] if weighted else None
    model = VotingRegressor(regressors, weights=weights).fit(*targeted)
    check(model, random_rows(6, 1000), ["predict"])


@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("final", [logistic(), GaussianNB()])
def test_stacking(labelled, passthrough, final):
    members = [*voters(), ("four", RidgeClassifier())]
    model = StackingClassifier(members, final, cv=2, passthrough=passthrough).fit(*labelled)
    check(model, random_rows(12, 1000), PROBABLE)


@pytest.mark.parametrize("passthrough", [False, True])
def test_stacking_regressor(targeted, passthrough):
    members = [(f"number {n}", Ridge(alpha=10.0**n)) for n in range(5)]
    model = StackingRegressor(members, Ridge(), cv=2, passthrough=passthrough).fit(*targeted)
    check(model, random_rows(6, 1000), ["predict"])


def test_one_versus_rest(labelled):
    model = OneVsRestClassifier(logistic()).fit(*labelled)
    rows = np.clip(random_rows(12), -9, 9)
    check(model, rows, (*PROBABLE, "decision_function"))
    check(OneVsRestClassifier(RidgeClassifier()).fit(*labelled), rows, ["predict"])
    check(OneVsRestClassifier(GaussianNB()).fit(*labelled), np.clip(rows, -1, 1), PROBABLE)


def test_one_versus_rest_of_equals():
    rows, classes = make_classification(300, 8, n_informative=5, n_classes=3, random_state=0)
    model = OneVsRestClassifier(RidgeClassifier()).fit(rows, classes)
    for estimator in model.estimators_:
        estimator.coef_ *= 0
        estimator.intercept_ *= 0
    check(model, random_rows(8, 50), ["predict"])


def test_several_labels_at_once_have_no_plan():
    rows, _ = make_classification(100, 6, random_state=0)
    with pytest.raises(UnplannedError, match="several labels"):
        compile_plan(OneVsRestClassifier(logistic()).fit(rows, rows[:, :3] > 0))


def test_several_targets(labelled):
    rows, classes = labelled
    model = MultiOutputRegressor(Ridge()).fit(rows, rows[:, :3])
    check(model, random_rows(12), ["predict"])
    model = MultiOutputClassifier(logistic()).fit(rows, np.column_stack([classes, classes]))
    check(model, random_rows(12), ["predict"])


@pytest.mark.parametrize("kind", ["grid", "random"])
def test_search(labelled, kind):
    pipeline = make_pipeline(StandardScaler(), logistic())
    choices = {"logisticregression__C": [0.1, 1.0]}
    if kind == "grid":
        model = GridSearchCV(pipeline, choices, cv=2)
    else:
        model = RandomizedSearchCV(pipeline, choices, n_iter=2, cv=2)
    check(model.fit(*labelled), random_rows(12), (*PROBABLE, "decision_function"))


def test_search_that_kept_no_estimator_has_no_plan(labelled):
    model = GridSearchCV(logistic(), {"C": [0.1, 1.0]}, cv=2, refit=False).fit(*labelled)
    with pytest.raises(UnplannedError):
        compile_plan(model)


TRANSFORMERS = [
    FunctionTransformer(np.log1p, np.expm1, validate=False),
    FunctionTransformer(np.log, np.exp, validate=True),
    StandardScaler(),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_transformed_target(targeted, transformer):
    model = TransformedTargetRegressor(LinearRegression(), transformer=transformer).fit(*targeted)
    check(model, np.clip(random_rows(6), -9, 9), ["predict"])


def centred(rows):
    return np.exp(rows) - np.exp(rows).mean()


@pytest.mark.parametrize(
    "transformer",
    [MinMaxScaler(), FunctionTransformer(np.log, centred, validate=False)],
)
def test_targets_transformed_otherwise_have_no_plan(targeted, transformer):
    model = TransformedTargetRegressor(Ridge(), transformer=transformer).fit(*targeted)
    with pytest.raises(UnplannedError, match="target"):
        compile_plan(model)


@pytest.mark.parametrize("features", [1.0, 0.5])
def test_bagging(labelled, features):
    model = BaggingClassifier(logistic(), n_estimators=3, max_features=features, random_state=0)
    check(model.fit(*labelled), random_rows(12, 1000), PROBABLE)


@pytest.mark.parametrize("features", [1.0, 0.5])
def test_bagging_regressor(targeted, features):
    model = BaggingRegressor(Ridge(), n_estimators=3, max_features=features, random_state=0)
    check(model.fit(*targeted), random_rows(6, 1000), ["predict"])


def test_consensus(targeted):
    check(RANSACRegressor(random_state=0).fit(*targeted), random_rows(6), ["predict"])


@pytest.mark.parametrize("strategy", ["prior", "most_frequent"])
@pytest.mark.parametrize("labels", [["a", "a", "longer"], [3, 3, 4], [False, False, True]])
def test_dummy_classifier(strategy, labels):
    model = DummyClassifier(strategy=strategy).fit(np.zeros((3, 2)), np.array(labels))
    check(model, random_rows(2, 10), PROBABLE)


def test_dummy_regressor():
    for targets in ([1.5, 2.0, 5.0], [1, 2, 3]):
        model = DummyRegressor().fit(np.zeros((3, 2)), targets)
        check(model, random_rows(2, 10), ["predict"])


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_dummies_that_guess_have_no_plan(strategy):
    with pytest.raises(UnplannedError, match="chance"):
        compile_plan(DummyClassifier(strategy=strategy).fit(np.zeros((3, 2)), [1, 1, 2]))


@pytest.mark.parametrize("layout", ["array", "frame"])
def test_labels_of_an_encoder(labelled, layout):
    rows, labels = labelled
    encoder = LabelEncoder().fit(labels)
    scaler = StandardScaler().fit(rows)
    classifier = LogisticRegression().fit(scaler.transform(rows), encoder.transform(labels))
    model = Labelled(Chain([scaler, classifier]), encoder.classes_)
    planned = compile_plan(model, [f"x{index}" for index in range(12)], layout).batch
    rows = np.asfortranarray(rows) if layout == "frame" else rows
    given = list(np.array(rows.T)) if layout == "frame" else rows
    assert np.array_equal(planned["predict"](given), model.predict(rows))
    assert planned["predict"](given).dtype == encoder.classes_.dtype
    assert np.array_equal(planned["predict_proba"](given), model.predict_proba(rows))
    assert falls_back(planned["predict"], np.full((1, 12), np.nan))
