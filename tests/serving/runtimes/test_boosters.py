"""Boosters that were pickled: they get DataFrames with the categories of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from frame_estimators import field_for, manifest_for
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from modelpack.serving.data.columns import build
from modelpack.serving.data.rows import Decoder
from modelpack.serving.data.tables import rows_from_columns, rows_from_matrix
from modelpack.serving.data.validation import RejectionSearch
from modelpack.serving.manifest import Field
from modelpack.serving.runtimes.estimator import EstimatorRuntime

ROWS = 120
_rng = np.random.default_rng(0)
NUMBERS = {"x": _rng.normal(size=ROWS), "y": _rng.normal(size=ROWS)}
GROUPS = _rng.integers(0, 3, ROWS)
VALUES = {
    "integers": [30, 10, 20],  # in another order than their codes
    "texts": ["pear", "apple", "fig"],
    "booleans": [True, False, True],
}
FRAMES = {
    name: pd.DataFrame({"g": [values[group] for group in GROUPS], **NUMBERS}).astype(
        {"g": "category"}
    )
    for name, values in VALUES.items()
}
TARGET = NUMBERS["x"] + np.array([5.0, -5.0, 0.5])[GROUPS]

SMALL = {"n_estimators": 8, "random_state": 0, "n_jobs": 1}
LIGHT = {**SMALL, "verbose": -1, "min_child_samples": 3, "min_data_per_group": 2}
CAT = {"iterations": 8, "random_seed": 0, "verbose": False, "allow_writing_files": False}
MODELS: dict[str, Callable[[], Any]] = {
    "LGBMClassifier": lambda: LGBMClassifier(**LIGHT),
    "LGBMRegressor": lambda: LGBMRegressor(**LIGHT),
    "XGBClassifier": lambda: XGBClassifier(**SMALL, enable_categorical=True),
    "XGBRegressor": lambda: XGBRegressor(**SMALL, enable_categorical=True),
    "CatBoostClassifier": lambda: CatBoostClassifier(**CAT, cat_features=["g"]),
    "CatBoostRegressor": lambda: CatBoostRegressor(**CAT, cat_features=["g"]),
}


def unwrapped(model: Any) -> Any:
    return model


def piped(model: Any) -> Any:
    scaled = ColumnTransformer(
        [("scale", StandardScaler(), ["x", "y"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return make_pipeline(scaled.set_output(transform="pandas"), model)


def fitted(name: str, wrap: Callable[[Any], Any], frame: pd.DataFrame) -> Any:
    target = (TARGET > 0).astype(int) if name.endswith("Classifier") else TARGET
    return wrap(MODELS[name]()).fit(frame, target)


def create_runner(model: Any, frame: pd.DataFrame) -> tuple[EstimatorRuntime, Decoder]:
    manifest = manifest_for(frame, "frame")
    return EstimatorRuntime(model, manifest), Decoder(manifest.inputs, "frame", 1000)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.astype(object).to_dict("records")
    return rows


CASES = [
    (name, values)
    for name in MODELS
    for values in VALUES
    if not (name.startswith("XGB") and values == "booleans")  # which XGBoost itself refuses
]


@pytest.mark.parametrize("wrap", [unwrapped, piped])
@pytest.mark.parametrize(("name", "values"), CASES)
def test_categories_have_the_codes_of_training(name, values, wrap):
    frame = FRAMES[values]
    model = fitted(name, wrap, frame)
    runner, decoder = create_runner(model, frame)
    for count in (1, 2, ROWS):
        rows = decoder.explain(records(frame[:count]))
        for method in filter(runner.has_method, ("predict", "predict_proba")):
            expected = getattr(model, method)(frame[:count])
            np.testing.assert_array_equal(runner.call(method, rows), expected, strict=True)


def test_the_codes_make_a_difference():
    """Without them, the test above would prove nothing."""
    frame = FRAMES["integers"]
    model = fitted("LGBMRegressor", unwrapped, frame)
    codes = frame.assign(g=frame.g.cat.codes).to_numpy(float)
    expected = model.predict(frame)
    assert np.array_equal(model.booster_.predict(codes), expected)
    assert not np.allclose(model.booster_.predict(frame.astype(float).to_numpy()), expected)


@pytest.mark.parametrize("values", ["integers", "texts"])
def test_lightgbm_takes_an_unknown_category_for_a_missing_one(values):
    frame = FRAMES[values]
    model = fitted("LGBMRegressor", unwrapped, frame)
    runner, decoder = create_runner(model, frame)
    unknown = [{**row, "g": 99 if values == "integers" else "kiwi"} for row in records(frame[:9])]
    missing = frame[:9].assign(g=pd.Categorical([None] * 9, categories=frame.g.cat.categories))
    got = runner.call("predict", decoder.explain(unknown))
    np.testing.assert_array_equal(got, model.predict(missing), strict=True)


@pytest.mark.parametrize("wrap", [unwrapped, piped])
@pytest.mark.parametrize(("values", "other"), [("integers", 99), ("texts", "kiwi"), ("texts", "a")])
def test_xgboost_never_takes_an_unknown_category_for_a_known_one(values, other, wrap):
    frame = FRAMES[values]
    runner, decoder = create_runner(fitted("XGBRegressor", wrap, frame), frame)
    unknown = [{**records(frame[:1])[0], "g": other}]
    with pytest.raises(ValueError, match="not one of the categories"):
        runner.call("predict", decoder.explain(unknown))


def test_catboost_gets_whole_numbers_as_integers():
    """pandas writes 3.0 for 3 where another value of the column is missing."""
    field = Field("store", "any", categories=(1, 2, 3))
    for values in ([3.0, 1.0], np.array([3.0, 1.0])):
        decoder = Decoder([field], "frame", 10)
        columns = rows_from_columns(decoder, ["store"], [values])
        assert columns[0].dtype == np.int64
    assert build(field, [3.0]).dtype == np.int64
    assert build(field, [3.5, 1.0]).dtype == build(Field("store", "any"), [3.0]).dtype == np.float64


@pytest.mark.parametrize("values", ["integers", "texts"])
def test_catboost_hashes_an_unknown_category_as_its_author_does(values):
    frame = FRAMES[values]
    model = fitted("CatBoostRegressor", unwrapped, frame)
    runner, decoder = create_runner(model, frame)
    unknown = [{**row, "g": 99 if values == "integers" else "kiwi"} for row in records(frame[:9])]
    expected = model.predict(pd.DataFrame(unknown))
    got = runner.call("predict", decoder.explain(unknown))
    np.testing.assert_array_equal(got, expected, strict=True)


def test_a_missing_category_is_missing():
    frame = FRAMES["texts"].copy()
    frame.loc[::7, "g"] = None
    model = fitted("LGBMClassifier", unwrapped, frame)
    runner, decoder = create_runner(model, frame)
    assert field_for("g", frame.g).nullable
    rows = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in records(frame)]
    got = runner.call("predict_proba", decoder.explain(rows))
    np.testing.assert_array_equal(got, model.predict_proba(frame), strict=True)


def test_catboost_refuses_a_fraction_as_a_category():
    model, frame = CatBoostClassifier(**CAT, cat_features=["g"]), FRAMES["integers"]
    runner = EstimatorRuntime(
        model.fit(frame.astype({"g": int}), TARGET > 0), manifest_for(frame, "frame")
    )
    rows = [np.array([10, 10.5]), *(frame[name].to_numpy()[:2] for name in "xy")]
    good = [column[:1] for column in rows]
    found = RejectionSearch(manifest_for(frame, "frame").inputs).problem(
        lambda columns: runner.call("predict", columns), rows, good
    )
    assert found is not None
    (error,) = found.errors
    assert (error["row"], error["column"], error["got"]) == (1, "g", "10.5")


SAME_FLOATS = [2**60, 2**60 + 1, 7]


@pytest.mark.parametrize("values", [[30, 10, 20], SAME_FLOATS])
@pytest.mark.parametrize("named", [True, False])
def test_catboost_gets_integer_categories_among_numbers(values, named):
    frame = pd.DataFrame({"g": np.array(values)[GROUPS], **NUMBERS})
    rows = frame.astype(object).to_numpy()
    model = CatBoostRegressor(**CAT, cat_features=[0], one_hot_max_size=8).fit(rows, TARGET)
    assert len({*model.predict([[value, 0.0, 0.0] for value in values])}) == len(values)
    runner = EstimatorRuntime(model, manifest_for(frame, "array", named))
    decoder = Decoder([Field("g", "any"), *manifest_for(frame, "array").inputs[1:]], "array", 1000)
    columns = [frame[name].to_numpy() for name in frame]
    for decoded in (
        decoder.decode(rows.tolist()),
        decoder.explain(rows.tolist()),
        rows_from_columns(decoder, None, columns),
        rows_from_columns(decoder, None, list(rows.T)),
    ):
        got = runner.call("predict", decoded)
        np.testing.assert_array_equal(got, model.predict(rows), strict=True)


def test_catboost_gets_integers_of_a_matrix():
    rows = np.array(SAME_FLOATS)[GROUPS].reshape(-1, 1)
    model = CatBoostRegressor(**CAT, cat_features=[0], one_hot_max_size=8).fit(rows, TARGET)
    assert len({*model.predict(np.array(SAME_FLOATS).reshape(-1, 1))}) == len(SAME_FLOATS)
    runner = EstimatorRuntime(model, manifest_for(pd.DataFrame({"g": rows[:, 0]}), "array"))
    decoded = rows_from_matrix(Decoder([Field("g", "any")], "array", 1000), rows)
    got = runner.call("predict", decoded)
    np.testing.assert_array_equal(got, model.predict(rows), strict=True)


def test_booleans_with_a_missing_one_are_floats_which_boosters_take():
    frame = pd.DataFrame({"x": NUMBERS["x"], "b": NUMBERS["y"] > 0})
    kept = ColumnTransformer([("x", StandardScaler(), ["x"])], remainder="passthrough")
    kept.set_output(transform="pandas")
    model = make_pipeline(kept, LGBMClassifier(**LIGHT)).fit(frame, TARGET > 0)
    runner = EstimatorRuntime(model, manifest_for(frame, "frame"))
    found = runner.call("predict_proba", [NUMBERS["x"][:2], np.array([True, np.nan], object)])
    single_row = runner.call("predict_proba", [NUMBERS["x"][1:2], np.array([np.nan], object)])
    assert found[1].tolist() == single_row[0].tolist()
    assert found[0].tolist() == model.predict_proba(frame.head(1).assign(b=True))[0].tolist()
