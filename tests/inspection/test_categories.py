"""The categories and dtypes of columns, as boosters keep them."""

import time

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from saving import save_and_inspect

from modelpack.errors import ModelNotSupportedError
from modelpack.inspection import limits, require_categories
from modelpack.inspection.facts.categories import Hashes, lightgbm_columns, xgboost_values
from modelpack.inspection.facts.columns import Column
from modelpack.inspection.inspector import inspect

RNG = np.random.default_rng(3)
COUNT = 200
PLAIN = pd.DataFrame(
    {
        "rank": RNG.integers(1, 4, COUNT),
        "fare": RNG.lognormal(3, 1, COUNT).round(2),
        "alone": RNG.random(COUNT) < 0.5,
        "sex": RNG.choice(["male", "female"], COUNT),
    }
).astype({"sex": object})
FRAME = PLAIN.astype({"rank": "category", "sex": "category"})
Y = PLAIN["rank"] * 10 + (PLAIN.sex == "male") * 5 + PLAIN.fare / 10
QUIET = {"n_estimators": 5, "n_jobs": 1}


def fitted(library, frame=FRAME, **parameters):
    if library == "lightgbm":
        return lightgbm.LGBMRegressor(verbose=-1, **{**QUIET, **parameters}).fit(frame, Y)
    return xgboost.XGBRegressor(enable_categorical=True, **{**QUIET, **parameters}).fit(frame, Y)


@pytest.mark.parametrize("how", [2, 4, None])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_pickled_boosters_have_the_categories_of_training(library, how, tmp_path):
    spec = save_and_inspect(fitted(library), tmp_path / "m", how)
    rank, fare, alone, sex = spec.signature.inputs
    assert (spec.signature.layout, spec.signature.named) == ("frame", True)
    assert (rank.dtype, rank.type, rank.categories) == ("category", "integer", (1, 2, 3))
    assert (sex.dtype, sex.type, sex.categories) == ("category", "string", ("female", "male"))
    assert (rank.example, sex.example) == (1, "female")
    assert (fare.type, fare.dtype) == ("number", None)
    assert alone.dtype == ("bool" if library == "xgboost" else None)
    assert spec.reasons["pandas"] == "its rows are a DataFrame"


def test_lightgbm_booster_without_a_wrapper_has_categories(tmp_path):
    rank = save_and_inspect(fitted("lightgbm").booster_, tmp_path / "m", 4).signature.inputs[0]
    assert (rank.dtype, rank.categories) == ("category", (1, 2, 3))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosters_are_kept_whole_where_other_values_are_cut(library, tmp_path, monkeypatch):
    for limit in ("KEPT_BYTES", "HEAD_BYTES", "SMALL_BYTES"):
        monkeypatch.setattr(limits, limit, 100)
    signature = save_and_inspect(fitted(library), tmp_path / "m", 4).signature
    assert [field.name for field in signature.inputs] == list(FRAME.columns)
    assert signature.inputs[0].categories == (1, 2, 3)
    monkeypatch.setattr(limits, "MODEL_BYTES", 100)
    signature = save_and_inspect(fitted(library), tmp_path / "m", 4).signature
    assert signature.inputs[0].categories == (1, 2, 3), "they come at the beginning"


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_numeric_inputs_need_no_frame(library, tmp_path):
    spec = save_and_inspect(fitted(library, PLAIN[["rank", "fare", "alone"]]), tmp_path / "m", 4)
    assert (spec.signature.layout, spec.signature.named) == ("array", True)
    assert "pandas" not in spec.requirements


def test_ordered_categories_of_lightgbm_are_found_by_their_range(tmp_path):
    order = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    size = pd.Series(RNG.choice(["low", "mid", "high"], COUNT)).astype(order)
    frame = FRAME.assign(size=size)[["fare", "size", "sex"]]
    fields = {
        f.name: f
        for f in save_and_inspect(fitted("lightgbm", frame), tmp_path / "m", 4).signature.inputs
    }
    assert fields["size"].categories == ("low", "mid", "high")
    assert fields["sex"].categories == ("female", "male")
    assert fields["fare"].dtype is None


def test_categories_of_an_unknown_column_leave_the_inputs_unknown(tmp_path):
    """A column of integers has the range of the codes of an ordered dtype."""
    order = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)
    size = pd.Series(RNG.choice(["low", "mid", "high"], COUNT)).astype(order)
    frame = FRAME.assign(size=size, number=RNG.integers(0, 3, COUNT))[["size", "number", "fare"]]
    signature = save_and_inspect(fitted("lightgbm", frame), tmp_path / "m", 4).signature
    assert signature.inputs == ()
    assert signature.layout == "frame"


@pytest.mark.parametrize(
    ("lists", "infos", "columns"),
    [
        ([2, 3], ["0:1", "[0.5:9]", "1:2:0"], [0, 2]),
        ([3, 2], ["[0:2]", "0:1"], [0, 1]),
        ([2], ["0:1:2"], None),
        ([3], ["0:1:2", "[0:2]"], [0]),
        ([3], ["[0:2]", "[0:2]"], None),
        ([3], ["[0:2]", "[0:5]"], [0]),
        ([3, 3], ["0:1:2", "none", "[0:9]"], [0, 1]),
        ([2], ["0:1:7", "0:-1:1"], [1]),
        ([2], ["[0.5:2]"], None),
        ([], ["[0:1]"], []),
    ],
)
def test_lists_of_categories_belong_to_columns_only_where_one_choice_fits(lists, infos, columns):
    found = lightgbm_columns([["x"] * size for size in lists], infos)
    assert (found or None) == (columns or None)


def test_a_list_that_is_repeated_is_not_written_out(tmp_path):
    model = fitted("lightgbm")
    model._Booster.pandas_categorical = [list(range(2_000))] * 600
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert spec.signature.inputs == ()


@pytest.mark.parametrize(
    "container",
    [{"enc": [{"values": [1], "offsets": [0, "a"]}]}, {"enc": [3]}, {"enc": [{"values": 3}]}],
)
def test_broken_container_is_an_error_that_its_readers_expect(container):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        xgboost_values(container)


@pytest.mark.parametrize("cities", [["Berlin", "K\u00f6ln", "Zug"], ["\u6771\u4eac", "Paris"]])
@pytest.mark.parametrize("native", [True, False])
def test_xgboost_shifts_and_cuts_categories_beyond_ascii(cities, native, tmp_path):
    frame = pd.DataFrame({"v": np.arange(30.0), "city": pd.Categorical((cities * 15)[:30])})
    model = xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(frame, frame["v"])
    path = tmp_path / ("m.json" if native else "m")
    model.save_model(path) if native else joblib.dump(model, path)
    city = inspect(path).signature.inputs[1]
    assert (city.dtype, city.categories) == ("category", None)
    with pytest.raises(ModelNotSupportedError, match="save them if they are ASCII"):
        require_categories(inspect(path))


def test_xgboost_before_its_container_does_not_guess_codes(tmp_path):
    """A feature of kind c without values in a DataFrame: the codes of the values are unknown."""
    path = tmp_path / "m"
    save_and_inspect(fitted("xgboost"), path, 4)
    data = path.read_bytes()
    assert data.count(b"\x04cats{") == 1
    path.write_bytes(data.replace(b"\x04cats{", b"\x04cuts{"))
    spec = inspect(path)
    rank = spec.signature.inputs[0]
    assert (rank.dtype, rank.categories, rank.type) == ("category", None, "any")
    with pytest.raises(ModelNotSupportedError, match=r"columns \(rank, sex\)") as refusal:
        require_categories(spec)
    assert "modelpack.record" in refusal.value.hint
    require_categories(save_and_inspect(fitted("xgboost"), path, 4))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    ("values", "type_", "known"),
    [
        ([1, 2, 3], "any", [1, 2, 3]),
        (["1", "2", "b"], "any", [1, 2, "b"]),
        ([10_001, 10_007, 99_999], "any", [10_001, 10_007, 99_999]),
        (["male", "female", "other"], "string", ["female", "male", "other"]),
        (["0010001", "0010007", "x"], "string", None),
    ],
)
def test_catboost_knows_integers_from_texts(values, type_, known, native, tmp_path):
    """By their hashes: one of CityHash for each category that training met."""
    column = pd.Series([values[i % 3] for i in range(90)], dtype=object)
    model = catboost.CatBoostRegressor(
        iterations=8, verbose=0, allow_writing_files=False, thread_count=1, random_seed=0
    ).fit(pd.DataFrame({"c": column}), np.arange(90) % 3 * 10.0, cat_features=["c"])
    if native:
        model.save_model(str(tmp_path / "m"))
        spec = inspect(tmp_path / "m")
    else:
        spec = save_and_inspect(model, tmp_path / "m", 4)
        assert spec.signature.layout == "frame"
    (field,) = spec.signature.inputs
    assert (field.type, field.nullable) == (type_, False)
    assert field.example == (known[0] if known else "x")
    assert field.categories == (tuple(known) if known else None)
    model.predict(pd.DataFrame({"c": [field.example]}))


def test_many_columns_of_texts_take_no_time_each():
    columns = [Column(str(index)) for index in range(2_000)]
    start = time.process_time()
    for index, column in enumerate(columns):
        Hashes({index * 7919 + 1}).describe(column)
    assert time.process_time() - start < 5
    assert {column.type for column in columns} <= {"string", "any"}
