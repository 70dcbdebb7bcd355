"""The contributions of models that combine others, or transform what another one predicts."""

from __future__ import annotations

import time
from typing import Any

import explained
import numpy as np
import pytest
from explained import AMOUNT, GAPS, LEVEL, NUMBERS, SCORE, YES, build_service
from plan_trees import plain_record
from sklearn import ensemble, linear_model, multioutput, tree
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    StandardScaler,
)

from modelpack.serving.contributions import Contributions, Explainer, UnavailableError, ensembles
from modelpack.serving.runtimes.estimator import CompiledModel
from modelpack.serving.runtimes.plans.runtime import installed_release
from modelpack.serving.runtimes.wrappers import Inverted

X = NUMBERS.to_numpy()
RIDGE, LOGISTIC = linear_model.Ridge(), linear_model.LogisticRegression()
STUMP = tree.DecisionTreeClassifier(max_depth=3, random_state=0)
FOREST = ensemble.RandomForestClassifier(8, random_state=0)
MIXED_PARTS = ColumnTransformer(
    [
        ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "visits"]),
        ("w", OneHotEncoder(), ["city", "plan"]),
    ]
)
SCALED = make_pipeline(StandardScaler(), RIDGE)
TWO = np.column_stack([SCORE, AMOUNT])


def bagging(model: Any, **settings: Any) -> Any:
    is_classifier = hasattr(model, "predict_proba")
    kind = ensemble.BaggingClassifier if is_classifier else ensemble.BaggingRegressor
    return kind(model, n_estimators=6, random_state=0, **settings)


def voting(*models: Any, **settings: Any) -> Any:
    named = [(f"m{number}", each) for number, each in enumerate(models)]
    is_classifier = hasattr(models[0], "predict_proba")
    if is_classifier:
        return ensemble.VotingClassifier(named, voting="soft", **settings)
    return ensemble.VotingRegressor(named, **settings)


REGRESSORS: dict[str, tuple[Any, str]] = {
    "bagging of trees": (bagging(tree.DecisionTreeRegressor(max_depth=4)), "tree_paths"),
    "bagging of some columns": (
        bagging(tree.DecisionTreeRegressor(), max_features=2), "tree_paths",
    ),
    "bagging of linear models": (bagging(RIDGE, max_features=3), "coefficients"),
    "bagging of pipelines": (bagging(SCALED), "coefficients"),
    "bagging of boosting": (
        bagging(ensemble.GradientBoostingRegressor(n_estimators=5)), "tree_paths",
    ),
    "voting": (
        voting(SCALED, ensemble.RandomForestRegressor(5, random_state=0),
               ensemble.GradientBoostingRegressor(n_estimators=5), weights=[1, 2, 0.5]),
        "mixed",
    ),
    "voting of linear models": (voting(SCALED, RIDGE), "coefficients"),
    "voting, one dropped": (voting(RIDGE, "drop", SCALED, weights=[1, 5, 3]), "coefficients"),
    "scaled target": (TransformedTargetRegressor(RIDGE, transformer=StandardScaler()),
                      "coefficients"),
    "target between 0 and 1": (
        TransformedTargetRegressor(SCALED, transformer=MinMaxScaler()), "coefficients",
    ),
    "features of RFE": (RFE(RIDGE, n_features_to_select=2), "coefficients"),
    "PLS": (PLSRegression(2), "coefficients"),
}  # fmt: skip
CLASSIFIERS: dict[str, tuple[Any, str, str]] = {
    "bagging of trees": (bagging(STUMP), "tree_paths", "probability"),
    "bagging of forests": (bagging(FOREST, max_features=3), "tree_paths", "probability"),
    "voting": (voting(STUMP, make_pipeline(StandardScaler(), FOREST), weights=[1, 3]),
               "tree_paths", "probability"),
    "AdaBoost": (ensemble.AdaBoostClassifier(n_estimators=7, random_state=0), "tree_paths", ""),
    "AdaBoost of deeper trees": (
        ensemble.AdaBoostClassifier(STUMP, n_estimators=7, random_state=0), "tree_paths", "",
    ),
    "one against the others": (OneVsRestClassifier(LOGISTIC), "coefficients", ""),
    "tuned threshold": (TunedThresholdClassifierCV(LOGISTIC), "coefficients", "log_odds"),
    "fixed threshold": (FixedThresholdClassifier(FOREST), "tree_paths", "probability"),
    "calibrated": (CalibratedClassifierCV(LOGISTIC, ensemble=False), "coefficients", "log_odds"),
    "calibrated forest": (
        CalibratedClassifierCV(make_pipeline(StandardScaler(), FOREST), ensemble=False),
        "tree_paths", "log_odds",
    ),
}  # fmt: skip
TWO_CLASSES = {"tuned threshold", "fixed threshold", "calibrated", "calibrated forest"}


def check(model: Any, frame: Any = NUMBERS, layout: str = "array") -> list[Contributions]:
    """Check that contributions add up to outputs of the model, and return them."""
    results = explained.explained(build_service(model, frame, layout), frame)
    for index, each in enumerate(results):
        row = frame.iloc[[index]] if layout == "frame" else frame.iloc[[index]].to_numpy()
        expected = explained.model_output(model, row, each)
        assert each.base + sum(each.values) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert each.total == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert any(any(each.values) for each in results)
    return results


def reason(model: Any, **more: Any) -> str:
    with pytest.raises(UnavailableError) as caught:
        explained.explained(build_service(model, NUMBERS, **more), NUMBERS)
    return str(caught.value)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_of_other_regressors(name):
    model, method = REGRESSORS[name]
    results = check(clone(model).fit(X, AMOUNT))
    assert {(each.method, each.output) for each in results} == {(method, "prediction")}


@pytest.mark.parametrize("target", [YES, LEVEL], ids=["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_of_other_classifiers(name, target):
    if target is LEVEL and name in TWO_CLASSES:
        return
    model, method, output = CLASSIFIERS[name]
    for each in check(clone(model).fit(X, target)):
        assert each.method == method
        assert not output or each.output == output


def test_mean_is_the_weighted_mean_of_the_contributions_of_the_members():
    forest = ensemble.RandomForestRegressor(5, random_state=0)
    model = voting(SCALED, forest, weights=[1, 3]).fit(X, AMOUNT)
    combined = check(model)
    members = [check(each) for each in model.estimators_]
    for index, each in enumerate(combined):
        one, other = (results[index] for results in members)
        mean = (np.array(one.values) + 3 * np.array(other.values)) / 4
        assert each.values == pytest.approx(mean.tolist(), rel=1e-9, abs=1e-12)
        assert each.base == pytest.approx((one.base + 3 * other.base) / 4, rel=1e-9)
        assert each.references == one.references


def test_columns_of_members_belong_to_their_inputs():
    """Only the third input counts, and each member sees two of the inputs in its own order."""
    model = bagging(tree.DecisionTreeRegressor(), max_features=2).fit(X, NUMBERS.c)
    for each in check(model):
        sizes = np.abs(each.values)
        assert sizes.argmax() == 2 or each.values[2] == pytest.approx(0, abs=3)
    assert sum(abs(each.values[2]) for each in check(model)) > 5


def test_member_that_knows_fewer_classes():
    """Releases before 1.9 draw rows for each member, which may lack a class."""
    model = bagging(STUMP).fit(X, LEVEL)
    codes = np.searchsorted(model.classes_, LEVEL)
    model.estimators_[1] = clone(STUMP).fit(X[codes > 0], codes[codes > 0])
    assert len(model.estimators_[1].classes_) == 2
    check(model)


def test_adaboost_votes_of_a_leaf_are_those_of_its_class():
    """One stump that is always right: its vote for two classes is +1 or -1, minus and plus it."""
    rows = np.array([[0.0], [0.0], [0.0], [1.0]])
    frame = NUMBERS[["a"]].head(4).assign(a=rows)
    model = ensemble.AdaBoostClassifier(n_estimators=1).fit(rows, ["no", "no", "no", "yes"])
    service = build_service(model, frame)
    result = Explainer(service).explain(service.decode_rows([[1.0]]))
    assert (result.label, result.base, result.values, result.total) == ("yes", -1.0, [3.0], 2.0)


def test_columns_before_and_inside_of_members():
    members = voting(
        make_pipeline(clone(MIXED_PARTS), FOREST), make_pipeline(clone(MIXED_PARTS), STUMP)
    )
    for model in (members, make_pipeline(clone(MIXED_PARTS), bagging(STUMP, max_features=0.6))):
        results = check(model.fit(GAPS, YES), GAPS, "frame")
        assert any(each.values[1] or each.values[3] for each in results)


def test_transformed_target_has_contributions_before_the_inverse():
    model = TransformedTargetRegressor(RIDGE, func=np.log1p, inverse_func=np.expm1)
    model.fit(X, AMOUNT)
    service = build_service(model, NUMBERS)
    for index, each in enumerate(explained.explained(service, NUMBERS)):
        inner = model.regressor_.predict(X[[index]])[0]
        assert (each.method, each.output) == ("coefficients", "transformed_prediction")
        assert each.base + sum(each.values) == pytest.approx(inner, rel=1e-9)
        assert each.total == pytest.approx(inner, rel=1e-9)
    model = TransformedTargetRegressor(RIDGE, func=np.log, inverse_func=np.exp).fit(X, AMOUNT)
    assert check(model)[0].output == "log_prediction"
    forest = ensemble.RandomForestRegressor(5, random_state=0)
    model = TransformedTargetRegressor(forest, transformer=PowerTransformer()).fit(X, AMOUNT)
    result = explained.explained(build_service(model, NUMBERS), NUMBERS)[0]
    assert (result.method, result.output) == ("tree_paths", "transformed_prediction")


def test_target_that_is_inverted_by_another_object():
    scaler = FunctionTransformer(np.sqrt, np.square).fit(np.ones((1, 1)))
    model = Inverted(make_pipeline(StandardScaler(), RIDGE).fit(X, np.sqrt(AMOUNT)), scaler)
    result = explained.explained(build_service(model, NUMBERS), NUMBERS)[0]
    assert result.output == "transformed_prediction"
    assert result.total == pytest.approx(model.model.predict(X[[0]])[0], rel=1e-9)


# --- several outputs ---

SEVERAL = {
    "linear": RIDGE,
    "forest": ensemble.RandomForestRegressor(4, random_state=0),
    "separate": multioutput.MultiOutputRegressor(
        ensemble.GradientBoostingRegressor(n_estimators=4)
    ),
    "scaled": TransformedTargetRegressor(SCALED, transformer=StandardScaler()),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_regressors_of_several_outputs(name):
    model = clone(SEVERAL[name]).fit(X, TWO)
    service = build_service(model, NUMBERS)
    explainer = Explainer(service)
    for index in range(5):
        prediction = model.predict(X[[index]])[0]
        rows = service.decode_rows([explained.json_row(NUMBERS, index)])
        for target in (None, 0, 1):
            each = explainer.explain(rows, target)
            expected = int(prediction.argmax()) if target is None else target
            assert (each.target, each.output, each.label) == (expected, "prediction", None)
            total = each.base + sum(each.values)
            assert total == pytest.approx(prediction[expected], rel=1e-9)
    with pytest.raises(UnavailableError, match="has 2 outputs"):
        explainer.explain(rows, 2)


# --- compiled models ---


@pytest.mark.parametrize(
    "name", ["bagging of trees", "voting", "AdaBoost", "one against the others", "calibrated"]
)
def test_compiled_classifiers_have_the_same_contributions(name):
    model, *_ = CLASSIFIERS[name]
    require_same(clone(model).fit(X, YES), classes=["no", "yes"], probabilities=True)


@pytest.mark.parametrize("name", ["bagging of some columns", "voting", "scaled target"])
def test_compiled_regressors_have_the_same_contributions(name):
    model, _ = REGRESSORS[name]
    if name == "voting":
        model = clone(model).set_params(weights=None)
    require_same(clone(model).fit(X, AMOUNT))


def test_compiled_boosting_of_a_frame_has_the_same_contributions():
    model = ensemble.GradientBoostingRegressor(n_estimators=5, random_state=0)
    require_same(model.fit(NUMBERS, AMOUNT), "frame")
    members = voting(clone(model), make_pipeline(StandardScaler(), RIDGE))
    require_same(members.fit(NUMBERS, AMOUNT), "frame")


def require_same(model: Any, layout: str = "array", **options: Any) -> None:
    expected = explained.explained(build_service(model, NUMBERS, layout), NUMBERS)
    record = CompiledModel(plain_record(model), installed_release())
    results = explained.explained(build_service(record, NUMBERS, layout, **options), NUMBERS)
    for one, other in zip(results, expected, strict=True):
        assert one[:3] == other[:3]
        assert [one.base, *one.values] == pytest.approx([other.base, *other.values], abs=1e-12)


# --- models without contributions ---


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (voting(LOGISTIC, GaussianNB()).set_params(voting="hard"), "counts votes"),
        (voting(LOGISTIC, LOGISTIC), "means of those of other than trees"),
        (voting(STUMP, GaussianNB()), "not a linear model, tree"),
        (bagging(LOGISTIC), "means of those of other than trees"),
        (CalibratedClassifierCV(LOGISTIC, cv=3), "means of several models"),
        (CalibratedClassifierCV(LOGISTIC, method="isotonic", ensemble=False), "not a sigmoid"),
        (ensemble.AdaBoostClassifier(LOGISTIC, n_estimators=3), "not trees"),
        (OneVsRestClassifier(STUMP), "scores of the classes do not add up"),
        (ensemble.StackingClassifier([("a", STUMP)]), "not a linear model, tree"),
    ],
)
def test_models_without_contributions_have_a_reason(model, text):
    assert text in reason(clone(model).fit(X, YES))


def test_median_of_adaboost_has_no_contributions():
    model = ensemble.AdaBoostRegressor(n_estimators=4, random_state=0).fit(X, AMOUNT)
    assert "not a linear model, tree" in reason(model)


def test_size_of_adaboost_is_limited(monkeypatch):
    monkeypatch.setattr("modelpack.serving.contributions.trees.MAX_NODES", 1)
    model = ensemble.AdaBoostClassifier(n_estimators=3, random_state=0).fit(X, YES)
    assert "more than 1 nodes" in reason(model)


def test_members_are_given_a_limited_time(monkeypatch):
    monkeypatch.setattr(ensembles, "MAX_SECONDS", -1)
    assert "take more than -1 s" in reason(bagging(RIDGE).fit(X, AMOUNT))


def test_bagging_of_many_trees_is_quick():
    model = ensemble.BaggingRegressor(n_estimators=100, random_state=0).fit(X, AMOUNT)
    service = build_service(model, NUMBERS)
    explainer, rows = Explainer(service), service.decode_rows([explained.json_row(NUMBERS, 1)])
    explainer.explain(rows)
    started = time.monotonic()
    explainer.explain(rows)
    assert time.monotonic() - started < ensembles.MAX_SECONDS
