"""Parameters and dtypes that change predictions: a plan gives the same bits or does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from plan_checks import compile_plan, falls_back
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from modelpack.serving.runtimes.plans import COMPILERS, UnplannedError, boosters
from modelpack.serving.runtimes.plans.parameters import FIT, IDLE, PARAMETERS, USED

RECORDED = Path(__file__).parents[3] / "data" / "plans" / "parameters.json"

NO_PLAN = {
    "BaggingClassifier.n_estimators": "it differs from the number of fitted estimators",
    "BaggingRegressor.n_estimators": "it differs from the number of fitted estimators",
    "BernoulliNB.binarize": "negative",
    "CountVectorizer.dtype": "not one of `text.COUNTS`: counts wrap around",
    "DictVectorizer.dtype": "not float64",
    "DummyClassifier.strategy": "stratified, uniform, constant",
    "FunctionTransformer.func": "not one of `scaling.FUNCTIONS`",
    "FunctionTransformer.inverse_func": "no ufunc, in TransformedTargetRegressor",
    "FunctionTransformer.kw_args": "not empty",
    "FunctionTransformer.pass_y": "True",
    "GradientBoostingClassifier.init": "an estimator",
    "GradientBoostingRegressor.init": "an estimator",
    "HashingVectorizer.dtype": "not float64",
    "HashingVectorizer.non_negative": "True",
    "HistGradientBoostingClassifier.categorical_features": "a tree uses categories",
    "HistGradientBoostingRegressor.categorical_features": "a tree uses categories",
    "KBinsDiscretizer.dtype": "not float64 or None",
    "MaxAbsScaler.clip": "True",
    "MissingIndicator.sparse": "True",
    "OneHotEncoder.categorical_features": "set, in the old mode",
    "OneHotEncoder.dtype": "not one of `encoding.CODES`",
    "OneHotEncoder.handle_unknown": "warn, with rare categories: releases differ",
    "OneHotEncoder.n_values": "set, in the old mode",
    "OrdinalEncoder.dtype": "not one of `encoding.CODES`: codes wrap around",
    "SVC.kernel": "precomputed or a function",
    "SimpleImputer.missing_values": "not a number, or not NaN for texts",
    "TfidfVectorizer.dtype": "not float64",
}
"""Class and used parameter -> the values for which there is no plan."""

SHORT = (np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float32, bool)


@pytest.mark.parametrize("dtype", SHORT)
@pytest.mark.parametrize("kind", [OrdinalEncoder, OneHotEncoder])
def test_codes_of_short_dtypes_have_no_plan(kind, dtype):
    values = np.array([[f"c{n:03}"] for n in range(200)], object)
    with pytest.raises(UnplannedError, match="returns codes of"):
        compile_plan(kind(dtype=dtype).fit(values))


@pytest.mark.parametrize("dtype", SHORT)
def test_counts_of_short_dtypes_have_no_plan(dtype):
    texts = ["a b " * 200, "b c", "c d"]
    for kind in (CountVectorizer, TfidfVectorizer, HashingVectorizer):
        if kind is CountVectorizer or dtype in (np.float16, np.float32):
            try:
                model = kind(dtype=dtype, token_pattern=r"\w").fit(texts)
            except ValueError:  # this release refuses it
                continue
            with pytest.raises(UnplannedError):
                compile_plan(model, layout="text")


class Renamed(StandardScaler):
    def __init__(self, *, copy=True, with_mean=True, with_std=True, squared=False):
        super().__init__(copy=copy, with_mean=with_mean, with_std=with_std)
        self.squared = squared


def test_a_parameter_of_a_later_release_leaves_no_plan():
    later = type("StandardScaler", (Renamed,), {"__module__": "sklearn.preprocessing"})
    with pytest.raises(UnplannedError, match="has an unknown parameter squared"):
        compile_plan(later().fit([[1.0], [2.0]]))


@pytest.mark.filterwarnings("ignore:Stochastic")
def test_fitted_floats_of_another_width_leave_no_plan():
    model = StandardScaler().fit([[1.0], [2.0]])
    model.scale_ = model.scale_.astype(np.float16)
    with pytest.raises(UnplannedError, match="has scale_ that is not float64"):
        compile_plan(model)
    rows = np.ones((9, 1), np.float32)
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=5).fit(rows, rows[:, 0])
    with pytest.raises(UnplannedError, match="is not float64"):
        compile_plan(model)


def test_functions_of_flags_have_no_plan():
    """numpy computes them with float16."""
    rows = np.array([[np.nan, 1.0], [2.0, 3.0]] * 9)
    model = make_pipeline(MissingIndicator(), FunctionTransformer(np.log1p), Ridge())
    with pytest.raises(UnplannedError, match="may get booleans"):
        compile_plan(model.fit(rows, rows[:, 1]))


def test_missing_values_in_sparse_rows_are_left_to_the_estimator():
    """Trees take them only from dense rows."""
    rows = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]] * 9)
    columns = ColumnTransformer(
        [("c", OneHotEncoder(), [0]), ("n", MaxAbsScaler(), [1])], sparse_threshold=1
    )
    model = make_pipeline(columns, DecisionTreeClassifier()).fit(rows, rows[:, 1] > 0)
    plan = compile_plan(model)
    missing = np.array([[0.0, np.nan]])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(missing)
    assert not falls_back(plan.batch["predict"], rows)
    assert falls_back(plan.batch["predict"], missing)


BLOWN = np.array([[1e306, 1.0], [2.0, 3.0]])
"""Division by a deviation below 1 makes its first value infinite."""
SMALL = np.random.default_rng(0).normal(size=(200, 2)) * 1e-4
SECOND = {
    "standard": StandardScaler(),
    "robust": RobustScaler(),
    "max-abs": MaxAbsScaler(),
    "min-max": MinMaxScaler(),
    "products": PolynomialFeatures(),
    "imputer": SimpleImputer(),
}


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("second", SECOND)
@pytest.mark.parametrize("first", [StandardScaler, RobustScaler, MaxAbsScaler])
def test_infinities_that_arise_before_a_step_are_left_to_the_estimator(first, second):
    """The second step refuses them. The last one takes infinities and NaN, so it does not."""
    last = HistGradientBoostingClassifier(max_iter=2)
    model = make_pipeline(first(), SECOND[second], last).fit(SMALL, SMALL[:, 0] > 0)
    with pytest.raises(ValueError, match="infinity"):
        model.predict(BLOWN)
    plan = compile_plan(model)
    for part in (plan.batch, plan.row_by_row):
        assert all(falls_back(method, BLOWN) for method in part.values())
        assert not any(falls_back(method, SMALL) for method in part.values())


def test_the_table_names_all_planned_classes_and_no_others():
    assert set(COMPILERS) - {"Chain", "Labelled"} - set(boosters.COMPILERS) == set(PARAMETERS)


def test_the_table_knows_the_constructors_of_all_releases():
    """`python scripts/make_settings.py --parameters` records them."""
    recorded = json.loads(RECORDED.read_text())
    assert {kind: sorted(found) for kind, found in recorded.items()} == {
        kind: sorted(known) for kind, known in PARAMETERS.items()
    }


def test_the_table_knows_the_constructors_of_this_release():
    for kind in planned_classes().values():
        assert set(kind._get_param_names()) <= PARAMETERS[kind.__name__].keys()


def test_parameters_only_for_fit_are_those_that_no_method_reads_to_predict():
    """In any release, by a look at the source."""
    for kind, found in json.loads(RECORDED.read_text()).items():
        read = {name for name, where in found.items() if "read" in where}
        for name in read:
            assert PARAMETERS[kind][name] != FIT, f"{kind}.{name}"
        idle = {name for name, why in PARAMETERS[kind].items() if why not in (USED, FIT)}
        assert idle <= read, kind


def planned_classes():
    """The planned classes that this release of scikit-learn has."""
    found = dict(all_estimators())
    return {name: found[name] for name in PARAMETERS if name in found}


def test_values_without_a_plan_are_of_used_parameters():
    for name in NO_PLAN:
        kind, _, parameter = name.partition(".")
        assert PARAMETERS[kind][parameter] == USED, name
    idle = {why for each in PARAMETERS.values() for why in each.values()}
    assert idle >= set(IDLE.values()), "a reason that no class has"


def test_unknown_categories_with_a_warning_have_no_plan_where_some_are_rare():
    """scikit-learn 1.6 to 1.8 ignore them, later ones take them for rare."""
    values = np.array([["a"]] * 9 + [["b"]], object)
    encoder = OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist").fit(values)
    compile_plan(encoder)
    encoder.handle_unknown = "warn"
    with pytest.raises(UnplannedError, match="with a warning"):
        compile_plan(encoder)
