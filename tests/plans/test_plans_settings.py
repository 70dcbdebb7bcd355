"""Parameters and dtypes that change predictions: a plan gives the same bits or does not exist."""

from __future__ import annotations

import numpy as np
import pytest
from plan_checks import doubts, plan_of
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from modelpack.serving.runners.plans import COMPILERS, UnplannedError
from modelpack.serving.runners.plans.parameters import IDLE, NO_PLAN, PARAMETERS, USED

SHORT = (np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float32, bool)


@pytest.mark.parametrize("dtype", SHORT)
@pytest.mark.parametrize("kind", [OrdinalEncoder, OneHotEncoder])
def test_codes_of_short_dtypes_have_no_plan(kind, dtype):
    values = np.array([[f"c{n:03}"] for n in range(200)], object)
    with pytest.raises(UnplannedError, match="gives codes of"):
        plan_of(kind(dtype=dtype).fit(values))


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
                plan_of(model, layout="text")


class Renamed(StandardScaler):
    def __init__(self, *, copy=True, with_mean=True, with_std=True, squared=False):
        super().__init__(copy=copy, with_mean=with_mean, with_std=with_std)
        self.squared = squared


def test_a_parameter_of_a_later_release_leaves_no_plan():
    later = type("StandardScaler", (Renamed,), {"__module__": "sklearn.preprocessing"})
    with pytest.raises(UnplannedError, match="has a parameter squared"):
        plan_of(later().fit([[1.0], [2.0]]))


def test_fitted_floats_of_another_width_leave_no_plan():
    model = StandardScaler().fit([[1.0], [2.0]])
    model.scale_ = model.scale_.astype(np.float32)
    with pytest.raises(UnplannedError, match="has scale_ of other floats"):
        plan_of(model)


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
    plan = plan_of(model)
    for part in (plan.together, plan.each):
        assert all(doubts(method, BLOWN) for method in part.values())
        assert not any(doubts(method, SMALL) for method in part.values())


def test_the_table_names_all_planned_classes_and_no_others():
    assert set(COMPILERS) - {"Chain"} == set(PARAMETERS)


def test_values_without_a_plan_are_of_used_parameters():
    for name in NO_PLAN:
        kind, _, parameter = name.partition(".")
        assert PARAMETERS[kind][parameter] == USED, name
    idle = {why for each in PARAMETERS.values() for why in each.values()}
    assert idle >= set(IDLE.values()), "a reason that no class has"
