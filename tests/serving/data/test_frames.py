"""The estimator gets the same values as in training, bit for bit."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import frame_estimators
import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from frame_estimators import METHODS, MIXES, field_for, manifest_for
from serving_models import BASE, ENVIRONMENT
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import modelpack
from modelpack.bundle.render import render
from modelpack.inspection import inspect
from modelpack.serving import loading, manifest, reference_bodies, reference_rows
from modelpack.serving.data.columns import build
from modelpack.serving.data.frames import FrameBuilder, MatrixBuilder, narrowed
from modelpack.serving.manifest import Field
from modelpack.serving.media import arrow_tables
from modelpack.serving.runtimes.estimator import EstimatorRuntime

COUNTS = (1, 2, 3, 30, 300)
SEE_FRAMES = {"FunctionTransformer", "Isomap"}
"""One gives a DataFrame on as it is, the other looks at the dtype that only an array has."""


def decoded_rows(frame: pd.DataFrame) -> np.ndarray:
    """As the decoder gives numbers: float64 in C order, and read-only as in a body."""
    rows = np.ascontiguousarray(frame.to_numpy(np.float64))
    rows.flags.writeable = False
    return rows


def same(got: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(same, got, expected))
    got, expected = (
        np.asarray(v.toarray() if hasattr(v, "toarray") else v) for v in (got, expected)
    )
    if got.dtype == object:
        return got.tolist() == expected.tolist()
    return (
        got.dtype == expected.dtype
        and got.shape == expected.shape
        and np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()
    )


def answer(model: Any, method: str, rows: Any) -> Any:
    """Return the predictions, or None if the model refuses the rows."""
    try:
        return getattr(model, method)(rows)
    except (ValueError, IndexError):
        return None


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize(
    "estimator", list(frame_estimators.estimators()), ids=lambda e: f"{e[0]}-{e[1]}"
)
def test_every_estimator_answers_as_for_its_data_frame(estimator, mix):
    model, frame = frame_estimators.fitted(*estimator, MIXES[mix])
    layout = "frame" if mix == "bool+float64" or estimator[1] in SEE_FRAMES else "array"
    runner = EstimatorRuntime(model, manifest_for(frame, layout))
    compared = 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for method in filter(runner.has_method, METHODS):
            for count in COUNTS:
                head = frame[:count].copy()  # a view has gaps in memory, which change the bits
                expected = answer(model, method, head)
                if expected is not None:
                    assert same(runner.call(method, decoded_rows(head)), expected), method
                    compared += 1
    assert compared or not any(map(runner.has_method, METHODS))


def test_the_memory_layout_makes_a_difference():
    """Without it, the test above would prove nothing."""
    frame = MIXES["float64"]
    model = LinearRegression().fit(frame, frame.sum(axis=1))
    unnamed = EstimatorRuntime(model, manifest_for(frame, "array", named=False))
    with pytest.warns(UserWarning, match="feature names"):
        got = unnamed.call("predict", decoded_rows(frame))
    assert not same(got, model.predict(frame))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("mix", MIXES)
def test_a_record_of_a_data_frame_has_the_bits_of_the_service(mix, tmp_path):
    frame = MIXES[mix]
    model = LinearRegression().fit(frame, frame.sum(axis=1))
    joblib.dump(model, tmp_path / "model.joblib")
    record = json.loads(modelpack.record(model, frame, tmp_path / "model.joblib").read_text())
    runner = EstimatorRuntime(model, manifest_for(frame, "frame" if "bool" in mix else "array"))
    rows = np.array(record["instances"], np.float64)
    assert runner.call("predict", rows).tolist() == record["together"]["predictions"]
    single_predictions = [runner.call("predict", rows[n : n + 1]).item() for n in range(len(rows))]
    assert single_predictions == record["alone"]["predictions"]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_rows_stay_as_they_are_when_the_model_writes_into_its_input(named, count):
    """Several methods predict for the same rows, such as predict and predict_proba."""
    rows = np.random.default_rng(0).normal(20, 5, (100, 3))
    fields = [Field(f"x{index}", "number", example=20.0) for index in range(3)]
    model = make_pipeline(StandardScaler(copy=False), KNeighborsClassifier(5))
    model.fit(rows.copy(), rows[:, 0] > 20)
    matrix = MatrixBuilder(fields, named).build
    chunk = rows[:count].copy()
    first = model.predict(matrix(chunk))
    assert (model.predict(matrix(chunk)) == first).all()
    assert (chunk == rows[:count]).all()


def test_integers_of_unknown_dtype_are_those_of_pandas():
    frame = MIXES["int64"]
    model = LinearRegression().fit(frame, frame.sum(axis=1))
    inputs = tuple(replace(f, dtype=None) for f in manifest_for(frame, "array").inputs)
    block = MatrixBuilder(inputs, named=True).build(decoded_rows(frame))
    expected = reference_rows.matrix(inputs, frame.astype(object).to_numpy().tolist())
    np.testing.assert_array_equal(block, expected, strict=True)
    with pytest.warns(UserWarning, match="feature names"):
        assert same(model.predict(block), model.predict(frame.copy()))


def test_an_array_without_names_keeps_the_order_of_its_author():
    fields = [Field("x0", "number"), Field("x1", "number")]
    block = MatrixBuilder(fields, named=False).build(decoded_rows(MIXES["float64"][["a", "b"]]))
    assert block.flags.c_contiguous
    assert block.flags.writeable


NAN = float("nan")
DATES = pd.to_datetime(["2020-01-01T00:00:00", "2021-02-03T04:05:06"])
COLUMNS = {
    "int64": pd.Series([1, 2]),
    "int8": pd.Series([1, 2], dtype="int8"),
    "uint32": pd.Series([1, 2], dtype="uint32"),
    "float32": pd.Series([0.1, NAN], dtype="float32"),
    "float64": pd.Series([0.1, NAN]),
    "bool": pd.Series([True, False]),
    "text": pd.Series(["x", "y"]),
    "object": pd.Series(["x", NAN], dtype=object),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "string": pd.Series(["x", None], dtype="string"),
    "dates": pd.Series(DATES),
    "dates with nanoseconds": pd.Series(DATES).astype("datetime64[ns]"),
    "dates of a zone": pd.Series(DATES.tz_localize("Europe/Oslo")),
    "missing date": pd.Series([DATES[0], None]),
    "category of integers": pd.Series(pd.Categorical([3, 1], categories=[3, 2, 1])),
    "category of texts": pd.Series(pd.Categorical(["x", None], categories=["y", "x"])),
    "category of booleans": pd.Series(pd.Categorical([True, True], categories=[True, False])),
    "category of floats": pd.Series(pd.Categorical([0.5, 1.5], categories=[1.5, 0.5])),
    "category of dates": pd.Series(pd.Categorical(DATES, categories=DATES[::-1])),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_a_column_has_the_dtype_of_training(column):
    field = field_for("c", column)
    frame = FrameBuilder([field]).build([decoded(field, column)])
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"c": column}), check_exact=True)


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_the_reference_makes_the_same_column_by_pandas_alone(column):
    field = field_for("c", column)
    rows = [[written(value)] for value in column.astype(object).tolist()]
    frame = reference_rows.frame([field], rows)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"c": column}), check_exact=True)


def written(value: Any) -> Any:
    """A value in a JSON document."""
    if pd.isna(value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.mark.parametrize("mix", [name for name in MIXES if "bool" not in name])
def test_the_reference_makes_the_same_array_without_pandas(mix):
    frame = MIXES[mix].copy()
    fields = manifest_for(frame, "array").inputs
    block = reference_rows.matrix(fields, frame.astype(object).to_numpy().tolist())
    expected = frame.to_numpy()
    assert block.flags.f_contiguous
    np.testing.assert_array_equal(block, expected, strict=True)


@pytest.mark.parametrize("has_pandas", [True, False])
def test_bodies_come_with_the_rows_that_are_in_them(has_pandas, monkeypatch):
    if not has_pandas:
        monkeypatch.setattr(reference_bodies, "find_spec", lambda _: None)
    fields = [
        Field("a/ø", "number", nullable=True, dtype="float64"),
        Field("n", "integer", dtype="int64"),
        Field("f", "boolean", dtype="bool"),
        Field("t", "string", nullable=True, dtype="str"),
    ]
    rows = [[1 / 3, 2**60 + 1, True, 'a "b",\nc'], [None, -1, False, None], [1e-300, 0, True, "ø"]]
    bodies = {name: (body, read) for name, body, read in reference_bodies.write(fields, rows)}
    assert set(bodies) == ({"json", "csv", "arrow", "parquet"} if has_pandas else {"json", "csv"})
    short = [[0.3333333333, *rows[0][1:]], *rows[1:]]
    assert bodies.pop("json")[1] == short
    assert all(read == rows for _, read in bodies.values())


def test_pyarrow_that_the_service_does_not_use_writes_no_bodies(monkeypatch):
    """PyCaret 2 requires one before 14.0.1."""
    monkeypatch.setattr(arrow_tables, "is_usable", lambda: False)
    bodies = reference_bodies.write([Field("a", "number", dtype="float64")], [[0.5], [1.5]])
    assert [name for name, _, _ in bodies] == ["json", "csv"]


def test_without_pandas_bodies_are_written_as_pandas_writes_them(monkeypatch):
    fields = [Field("a/b", "number", dtype="float64"), Field("ø", "integer", dtype="int64")]
    rows = [[0.1, 1], [1 / 3, -2], [-1250.5, 3], [123456.789, 4]]
    by_pandas = {name: body for name, body, _ in reference_bodies.write(fields, rows)}
    monkeypatch.setattr(reference_bodies, "find_spec", lambda _: None)
    for name, body, _ in reference_bodies.write(fields, rows):
        assert body == by_pandas[name]


def decoded(field: Field, column: pd.Series) -> np.ndarray:
    """As the decoder gives the values."""
    if field.type == "datetime":
        moments = pd.to_datetime(column.astype(object), utc=True).dt.tz_localize(None)
        return moments.astype("datetime64[ns]").to_numpy()
    return build(field, [None if pd.isna(v) else v for v in column.astype(object).tolist()])


def test_a_missing_integer_makes_the_column_one_of_floats_as_in_pandas():
    fields = [
        Field("a", "integer", nullable=True, dtype="int64"),
        Field("b", "integer", dtype="int64"),
    ]
    frame = FrameBuilder(fields).build(np.array([[NAN, 1.0], [2.0, 3.0]]))
    assert list(map(str, frame.dtypes)) == ["float64", "int64"]
    array = MatrixBuilder(fields, named=True).build(np.array([[NAN, 1.0], [2.0, 3.0]]))
    assert array.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "categories", "expected"),
    [
        (np.array([2.0, NAN, 9.0]), (1, 2), [1, 2, 9]),
        (np.array(["b", "z", NAN], object), ("a", "b"), ["a", "b", "z"]),
    ],
)
def test_a_category_that_training_never_met_comes_after_the_others(values, categories, expected):
    kind = "integer" if isinstance(categories[0], int) else "string"
    field = Field("c", kind, nullable=True, categories=categories, dtype="category")
    column = FrameBuilder([field]).build([values])["c"]
    assert (
        column.cat.categories.tolist() == expected
    )  # integers, though a missing value made floats
    assert column.cat.codes.tolist() == ([1, -1, 2] if kind == "integer" else [1, 2, -1])


@pytest.mark.parametrize("make", [dict, "own"])
def test_own_code_never_gets_an_unknown_category(make):
    """The codes of unknown categories depend on the other rows of the request."""
    field = Field("size", "string", dtype="category", categories=("S", "M"))
    functions = {dict: np.log1p, "own": lambda rows: rows}
    model = make_pipeline(FunctionTransformer(functions[make]), LinearRegression())
    facts = replace(manifest_for(pd.DataFrame({"size": ["S"]}), "frame"), inputs=(field,))
    arrange = EstimatorRuntime(model, facts).arrange
    rows = [np.array(["M", "XXL"], object)]
    if make == "own":
        with pytest.raises(ValueError, match="not one of the categories"):
            arrange(rows)
    else:
        assert arrange(rows)["size"].cat.codes.tolist() == [1, 2]
    assert arrange([np.array(["M", np.nan], object)])["size"].cat.codes.tolist() == [1, -1]


@pytest.mark.parametrize(
    "values",
    [[90_000_000.5, None], ["1 days 01:00:00.0005", None], ["P1DT1H0M0.0005S", np.nan]],
)
@pytest.mark.parametrize("dtype", ["timedelta64[ns]", "timedelta64[us]"])
def test_durations_are_milliseconds_or_texts(values, dtype):
    """`to_json` writes milliseconds, `to_csv` and records write texts."""
    field = Field("wait", "any", nullable=True, dtype=dtype)
    expected = pd.DataFrame({"wait": pd.to_timedelta(["1 days 01:00:00.0005", None])}).astype(dtype)
    rows = [build(field, values)]
    pd.testing.assert_frame_equal(FrameBuilder([field]).build(rows), expected)
    pd.testing.assert_frame_equal(reference_rows.frame([field], [[v] for v in values]), expected)


def test_plans_get_numbers_as_they_were_rounded_in_training():
    fields = [Field("a", "number", dtype="float32"), Field("b", "number")]
    rows = np.array([[0.1, 0.1]])
    assert narrowed(rows, fields).tolist() == [[float(np.float32(0.1)), 0.1]]
    columns = narrowed([rows[:, 0], rows[:, 1]], fields)
    assert [column.tolist() for column in columns] == [[float(np.float32(0.1))], [0.1]]
    assert narrowed(rows, fields[1:]) is rows


def test_the_output_setting_of_training_holds_in_each_thread(tmp_path):
    frame = pd.DataFrame({"age": [30.0, np.nan, 50.0, 61.0], "fare": [7.0, 8.5, 30.0, 12.0]})
    chosen = ColumnTransformer([("scale", StandardScaler(), ["age", "fare"])])
    with sklearn.config_context(transform_output="pandas"):
        model = make_pipeline(SimpleImputer(), chosen, LinearRegression())
        model.fit(frame, [1.0, 2.0, 3.0, 4.0])
        expected = model.predict(frame)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    spec = inspect(path)
    assert (spec.transform_output, spec.signature.layout) == ("pandas", "frame")
    assert "pandas" in spec.requirements
    folder = render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    loaded = loading.load(folder, manifest.read(folder))
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(loaded.predict, frame).result()
    assert got.tobytes() == expected.tobytes()


def test_steps_that_pass_frames_on_do_not_look_like_the_output_setting(tmp_path):
    frame = pd.DataFrame({"age": [30.0, 40.0, 50.0, 61.0], "fare": [7.0, 8.5, 30.0, 12.0]})
    steps = [
        make_pipeline(FunctionTransformer(np.log1p), LinearRegression()),
        make_pipeline(StandardScaler().set_output(transform="pandas"), LinearRegression()),
        make_pipeline(StandardScaler(), LinearRegression()),
    ]
    for model in steps:
        joblib.dump(model.fit(frame, [1.0, 2.0, 3.0, 4.0]), tmp_path / "model.joblib")
        assert inspect(tmp_path / "model.joblib").transform_output is None
