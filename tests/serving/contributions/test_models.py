"""The contributions of models of scikit-learn add up to what the models return."""

from __future__ import annotations

import warnings
from typing import Any

import explained
import numpy as np
import pandas as pd
import pytest
from explained import AMOUNT, GAPS, LEVEL, NUMBERS, SCORE, YES, build_service
from plan_trees import plain_record
from sklearn import ensemble, linear_model, svm, tree
from sklearn.base import clone, is_regressor
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.utils import all_estimators

from modelpack.serving.contributions import Explainer, UnavailableError
from modelpack.serving.runtimes.estimator import CompiledModel
from modelpack.serving.runtimes.plans.runtime import installed_release

SEVERAL = "Multi"
REGRESSORS = [
    name
    for name, cls in all_estimators("regressor")
    if cls.__module__.startswith("sklearn.linear_model") and not name.startswith(SEVERAL)
]
CLASSIFIERS = [
    "LogisticRegression", "LogisticRegressionCV", "PassiveAggressiveClassifier", "Perceptron",
    "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier",
]  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "RANSACRegressor": {"random_state": 0},
    "OrthogonalMatchingPursuitCV": {"max_iter": 2},
    "QuantileRegressor": {"alpha": 0.01},
}


@pytest.fixture(autouse=True)
def no_advice():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", "(?s).*(converge|Maximum number|Orthogonal)")
        yield


def check(model: Any, frame: Any, layout: str = "array", method: str = "", output: str = "") -> Any:
    """Check that contributions add up, and return those of the first rows."""
    service = build_service(model, frame, layout)
    found = explained.explained(service, frame)
    assert any(any(each.values) for each in found)
    for index, each in enumerate(found):
        row = frame.iloc[[index]] if layout == "frame" else frame.iloc[[index]].to_numpy()
        expected = explained.model_output(model, row, each)
        assert each.base + sum(each.values) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert each.total == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert not method or each.method == method
        assert not output or each.output == output
    return found


def reason(model: Any, frame: Any, layout: str = "array", **more: Any) -> str:
    service = build_service(model, frame, layout, **more)
    with pytest.raises(UnavailableError) as caught:
        explained.explained(service, frame)
    return str(caught.value)


# --- linear models ---


@pytest.mark.parametrize("name", REGRESSORS)
def test_linear_regressors(name):
    cls = dict(all_estimators("regressor"))[name]
    model = cls(**SETTINGS.get(name, {})).fit(NUMBERS.to_numpy(), AMOUNT)
    is_log = name in {"PoissonRegressor", "GammaRegressor"} or getattr(model, "power", 0) > 0
    check(model, NUMBERS, "array", "coefficients", "log_prediction" if is_log else "prediction")


@pytest.mark.parametrize("target", [YES, LEVEL], ids=["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_linear_classifiers(name, target):
    model = getattr(linear_model, name)().fit(NUMBERS.to_numpy(), target)
    is_odds = name.startswith("Logistic") and len(set(target)) == 2
    check(model, NUMBERS, "array", "coefficients", "log_odds" if is_odds else "score")


@pytest.mark.parametrize(
    "model",
    [
        svm.LinearSVC(), svm.LinearSVR(), LinearDiscriminantAnalysis(),
        linear_model.SGDClassifier(loss="log_loss"), linear_model.Ridge(fit_intercept=False),
        GridSearchCV(linear_model.LogisticRegression(), {"C": [1, 2]}, cv=2),
    ],
    ids=lambda model: type(model).__name__,
)  # fmt: skip
def test_other_linear_models(model):
    target = AMOUNT if is_regressor(model) else YES
    check(model.fit(NUMBERS.to_numpy(), target), NUMBERS, "array", "coefficients")


def test_contribution_is_coefficient_times_difference_to_the_mean():
    model = make_pipeline(StandardScaler(), linear_model.Ridge()).fit(NUMBERS.to_numpy(), SCORE)
    scaler, ridge = model[0], model[1]
    for index, each in enumerate(check(model, NUMBERS)):
        row = NUMBERS.iloc[index].to_numpy()
        expected = ridge.coef_ * (row - scaler.mean_) / scaler.scale_
        assert each.values == pytest.approx(expected, rel=1e-12)
        assert each.base == pytest.approx(ridge.intercept_, rel=1e-12)
        assert each.references == pytest.approx(NUMBERS.mean().tolist(), rel=1e-12)


def test_contribution_without_a_mean_is_relative_to_the_median_or_the_example():
    model = linear_model.Ridge().fit(NUMBERS.to_numpy(), SCORE)
    service = build_service(model, NUMBERS)
    documents = service.manifest.model["signature"]["inputs"]
    documents[1]["quantiles"] = [0, 1, 2, 3.5, 4, 5, 6]
    each = explained.explained(service, NUMBERS)[3]
    usual = NUMBERS.iloc[0].to_numpy().copy()
    usual[1] = 3.5
    assert each.references == pytest.approx(usual.tolist(), rel=1e-12)
    expected = model.coef_ * (NUMBERS.iloc[3].to_numpy() - usual)
    assert each.values == pytest.approx(expected, rel=1e-12)
    assert each.base == pytest.approx(model.predict([usual])[0], rel=1e-12)


def test_contributions_are_to_the_predicted_class():
    model = linear_model.LogisticRegression().fit(NUMBERS.to_numpy(), YES)
    found = check(model, NUMBERS)
    assert {each.label for each in found} == {"no", "yes"}
    for index, each in enumerate(found):
        sign = 1 if each.label == "yes" else -1
        difference = NUMBERS.iloc[index] - NUMBERS.iloc[0]
        assert each.values == pytest.approx((sign * model.coef_[0] * difference).tolist())
        assert each.total > 0


# --- pipelines ---


def columns(numbers: Any, words: Any, **more: Any) -> ColumnTransformer:
    parts = [("n", numbers, ["age", "visits"]), ("w", words, ["city", "plan"])]
    return ColumnTransformer(parts, **more)


IMPUTED = make_pipeline(SimpleImputer(), StandardScaler())
LISTED = make_column_transformer(
    (OneHotEncoder(), [3, 1]), ("drop", [2]), remainder=SimpleImputer(add_indicator=True)
)
STEPS = {
    "one-hot": columns(IMPUTED, OneHotEncoder()),
    "one-hot, one dropped": columns(IMPUTED, OneHotEncoder(drop="first")),
    "one-hot, of two": columns(IMPUTED, OneHotEncoder(drop="if_binary")),
    "one-hot, rare": columns(IMPUTED, OneHotEncoder(min_frequency=55)),
    "ordinal": columns(IMPUTED, OrdinalEncoder()),
    "positions": LISTED,
    "slice and mask": make_column_transformer(
        (SimpleImputer(), [True, False, True, False]), (OneHotEncoder(), slice(1, 2))
    ),
    "selectors": make_column_transformer(
        (IMPUTED, make_column_selector(dtype_include="number")),
        (OneHotEncoder(), make_column_selector(dtype_include=object)),
    ),
    "remainder": make_column_transformer(
        (OneHotEncoder(), ["plan", "city"]), remainder="passthrough"
    ),
    "union": columns(
        make_pipeline(SimpleImputer(), make_union(MinMaxScaler(), KBinsDiscretizer(3))),
        OneHotEncoder(),
    ),
    "selection": make_pipeline(
        columns(SimpleImputer(), OneHotEncoder()), VarianceThreshold(), SelectKBest(k=4)
    ),
    "functions": columns(
        make_pipeline(
            SimpleImputer(), FunctionTransformer(np.abs), QuantileTransformer(n_quantiles=5)
        ),
        OneHotEncoder(),
    ),
}  # fmt: skip
PREDICTORS = {
    "linear": linear_model.LogisticRegression(max_iter=2000),
    "forest": ensemble.RandomForestClassifier(5, random_state=0),
    "boosting": ensemble.HistGradientBoostingClassifier(max_iter=4),
}


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("steps", STEPS)
def test_columns_belong_to_their_inputs(steps, predictor):
    frame = GAPS.assign(age=GAPS.age.fillna(30)) if steps == "remainder" else GAPS
    before = clone(STEPS[steps])
    if predictor == "boosting":  # which rejects sparse rows
        names = [name for name in before.get_params() if name.endswith("sparse_threshold")]
        before.set_params(**dict.fromkeys(names, 0))
    model = make_pipeline(before, PREDICTORS[predictor]).fit(frame, YES)
    found = check(model, frame, "frame")
    service = build_service(model, frame, "frame")
    for number, name in enumerate(frame):
        if name == "visits" and steps == "positions":
            assert {each.values[number] for each in found} == {0.0}
    if predictor != "linear":
        return
    for each, row in zip(found, frame.head(explained.TESTED).to_dict("records"), strict=True):
        sign = 1 if each.label == "yes" else -1
        for number, name in enumerate(frame):
            changed = {**row, name: each.references[number]}
            with np.errstate(all="ignore"):
                before, after = (score(service, one) for one in (row, changed))
            assert each.values[number] == pytest.approx(sign * (before - after), abs=1e-6), name


def score(service: Any, row: dict[str, Any]) -> float:
    return float(service.runner.model.decision_function(pd.DataFrame([row]))[0])


def test_combined_inputs_have_no_contributions():
    for step, kind in ((PCA(2), "PCA"), (PolynomialFeatures(), "PolynomialFeatures")):
        model = make_pipeline(step, linear_model.Ridge()).fit(NUMBERS.to_numpy(), SCORE)
        text = f"The step {kind} combines inputs, or is not known."
        assert reason(model, NUMBERS) == text


# --- trees ---

TREES = {
    "DecisionTreeClassifier": tree.DecisionTreeClassifier(),
    "DecisionTreeRegressor": tree.DecisionTreeRegressor(),
    "DecisionTreeRegressor of medians": tree.DecisionTreeRegressor(criterion="absolute_error"),
    "ExtraTreeClassifier": tree.ExtraTreeClassifier(),
    "ExtraTreeRegressor": tree.ExtraTreeRegressor(),
    "RandomForestClassifier": ensemble.RandomForestClassifier(20),
    "RandomForestClassifier of weights": ensemble.RandomForestClassifier(
        20, class_weight="balanced"
    ),
    "RandomForestRegressor": ensemble.RandomForestRegressor(20),
    "ExtraTreesClassifier": ensemble.ExtraTreesClassifier(20),
    "ExtraTreesRegressor": ensemble.ExtraTreesRegressor(20),
    "GradientBoostingClassifier": ensemble.GradientBoostingClassifier(n_estimators=20),
    "GradientBoostingClassifier exponential": ensemble.GradientBoostingClassifier(
        n_estimators=20, loss="exponential"
    ),
    "GradientBoostingRegressor": ensemble.GradientBoostingRegressor(n_estimators=20),
    "GradientBoostingRegressor huber": ensemble.GradientBoostingRegressor(
        n_estimators=20, loss="huber", init="zero"
    ),
    "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(max_iter=20),
    "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(max_iter=20),
    "HistGradientBoostingRegressor poisson": ensemble.HistGradientBoostingRegressor(
        max_iter=20, loss="poisson"
    ),
}


def fitted(name: str, target: Any) -> Any:
    model = clone(TREES[name]).set_params(random_state=0)
    return model.fit(NUMBERS.to_numpy(), AMOUNT if "Regressor" in name else target)


WITH_THREE_CLASSES = [n for n in TREES if "Regressor" not in n and "exponential" not in n]


@pytest.mark.parametrize(
    ("name", "target"), [*((n, YES) for n in TREES), *((n, LEVEL) for n in WITH_THREE_CLASSES)]
)
def test_trees(name, target):
    check(fitted(name, target), NUMBERS, "array", "tree_paths")


def test_outputs_of_trees():
    outputs = {
        "RandomForestRegressor": "prediction",
        "HistGradientBoostingRegressor poisson": "log_prediction",
        "RandomForestClassifier": "probability",
        "GradientBoostingClassifier": "log_odds",
        "HistGradientBoostingClassifier": "log_odds",
        "GradientBoostingClassifier exponential": "score",
    }
    for name, output in outputs.items():
        check(fitted(name, YES), NUMBERS, "array", "tree_paths", output)


def test_input_of_a_split_gets_the_change_of_the_mean():
    """The tree splits by `a`, then by `b`."""
    frame = pd.DataFrame({"a": [0.0, 0, 1, 1], "b": [0.0, 1, 0, 1], "c": [0.0] * 4})
    target = [10.0, 20.0, 50.0, 80.0]
    model = tree.DecisionTreeRegressor().fit(frame.to_numpy(), target)
    service = build_service(model, frame)
    (found,) = [Explainer(service).explain(service.decode_rows([[1, 0, 1]]))]
    assert (found.base, found.values, found.total) == (40.0, [25.0, -15.0, 0.0], 50.0)


@pytest.mark.parametrize(
    "name", ["RandomForestRegressor", "GradientBoostingRegressor", "HistGradientBoostingRegressor"]
)
def test_base_is_the_mean_over_the_training(name):
    """With the loss of squares, a leaf is the mean of its rows, and so is the root."""
    model = clone(TREES[name]).set_params(random_state=0)
    if name.startswith("Random"):
        model.set_params(bootstrap=False)
    model.fit(NUMBERS.to_numpy(), AMOUNT)
    expected = model.predict(NUMBERS.to_numpy()).mean()
    assert check(model, NUMBERS)[0].base == pytest.approx(expected, rel=1e-6)


def test_categories_and_missing_values_of_histograms():
    frame = GAPS.astype({"city": "category", "plan": "category"})
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=20, categorical_features="from_dtype", min_samples_leaf=5
    ).fit(frame, YES)
    found = check(model, frame, "frame", "tree_paths", "log_odds")
    assert any(each.values[1] for each in found)


def test_splits_by_categories_belong_to_their_inputs():
    """Histogram gradient boosting moves columns of categories to the front."""
    frame = GAPS.astype({"city": "category", "plan": "category"})
    model = ensemble.HistGradientBoostingClassifier(categorical_features="from_dtype")
    model.fit(frame, np.where(GAPS.city == "Rome", "yes", "no"))
    for each in check(model, frame, "frame"):
        sizes = dict(zip(frame, np.abs(each.values), strict=True))
        assert sizes["city"] > 0.9 * sum(sizes.values()) > 0


def test_missing_values_of_forests():
    frame = GAPS[["age", "visits"]]
    model = ensemble.RandomForestClassifier(9, random_state=0).fit(frame.to_numpy(), YES)
    check(model, frame.astype("float64"), "array", "tree_paths")


# --- compiled models ---


def compiled(model: Any) -> CompiledModel:
    """Return a compiled model, which knows nothing of scikit-learn."""
    return CompiledModel(plain_record(model), installed_release())


@pytest.mark.parametrize("name", [*TREES, "one-hot", "scaled"])
def test_compiled_models_have_the_same_contributions(name):
    frame, layout = NUMBERS, "array"
    if name == "one-hot":
        frame, layout = GAPS, "frame"
        model = make_pipeline(clone(STEPS[name]), PREDICTORS["forest"]).fit(frame, YES)
    elif name == "scaled":
        model = make_pipeline(StandardScaler(), PREDICTORS["linear"]).fit(frame.to_numpy(), LEVEL)
    else:
        model = fitted(name, LEVEL if name in WITH_THREE_CLASSES else YES)
    classes = {"classes": list(model.classes_)} if hasattr(model, "classes_") else {}
    options = {**classes, "probabilities": bool(classes)}
    expected = explained.explained(build_service(model, frame, layout), frame)
    found = explained.explained(build_service(compiled(model), frame, layout, **options), frame)
    for one, other in zip(found, expected, strict=True):
        assert one[:3] == other[:3]
        assert [one.base, *one.values] == pytest.approx([other.base, *other.values], abs=1e-12)


# --- other models ---


def test_models_without_contributions_have_a_reason():
    model = GaussianNB().fit(NUMBERS.to_numpy(), YES)
    text = "The model is not a linear model, tree, forest or boosting."
    assert reason(model, NUMBERS) == text
    both = np.column_stack([YES, LEVEL])
    model = ensemble.RandomForestClassifier(3).fit(NUMBERS.to_numpy(), both)
    assert "several labels" in reason(model, NUMBERS)


def test_wrong_sums_are_not_returned():
    model = fitted("RandomForestRegressor", YES)
    service = build_service(model, NUMBERS)
    explainer = Explainer(service)
    row = service.decode_rows([explained.json_row(NUMBERS, 1)])
    found = explainer.explain(row)
    paths = explainer._model.model
    paths._trees = [each._replace(values=each.values * 1.001) for each in paths._trees]
    with pytest.raises(UnavailableError, match="do not add up"):
        explainer.explain(row)
    paths._trees = None
    with pytest.raises(UnavailableError, match="could not be read"):
        explainer.explain(row)
    assert found.values


def test_trees_are_given_a_limited_time(monkeypatch):
    monkeypatch.setattr("modelpack.serving.contributions.trees.MAX_SECONDS", -1)
    assert "take more than -1 s" in reason(fitted("RandomForestRegressor", YES), NUMBERS)
