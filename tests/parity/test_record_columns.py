"""modelpack.record() records the properties of all rows of each column."""

from __future__ import annotations

import datetime
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import modelpack
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare, training
from modelpack.types import Field, ModelSpec, Reference

COUNT = 200
EVERY = pd.DataFrame(
    {
        "float": np.linspace(-1, 1, COUNT),
        "hole": [None, *np.linspace(0, 99, COUNT - 1)],
        "small": np.arange(COUNT).astype("float32"),
        "integer": np.arange(COUNT) + 5,
        "flag": np.arange(COUNT) % 2 == 0,
        "text": [f"t{n % 3}" for n in range(COUNT)],
        "code": [f"{n % 3:03}" for n in range(COUNT)],
        "day": pd.date_range("2024-01-01", periods=COUNT),
        "zoned": pd.date_range("2024-01-01", periods=COUNT, tz="Europe/Berlin"),
        "date": [datetime.date(2024, 1, 1 + n % 28) for n in range(COUNT)],
        "lasts": pd.to_timedelta(np.arange(COUNT), unit="h"),
        "price": [Decimal("1.25") * n for n in range(COUNT)],
        "Int": pd.array([None, *range(COUNT - 1)], "Int64"),
        "Flag": pd.array([None, *[True] * (COUNT - 1)], "boolean"),
        "Float": pd.array(np.arange(COUNT) / 4, "Float64"),
        "Text": pd.array(["a", None] * (COUNT // 2), "string"),
        "arrow": pd.array(range(COUNT), "int64[pyarrow]"),
        "arrows": pd.array(["x", None] * (COUNT // 2), "string[pyarrow]"),
        "when": pd.array(pd.date_range("2024-01-01", periods=COUNT), "timestamp[us][pyarrow]"),
        "grade": pd.Categorical(["low", "high"] * (COUNT // 2), ["low", "mid", "high"], True),
        "year": pd.Categorical([2020, 2021] * (COUNT // 2), [2021, 2020, 2019]),
        "thin": pd.arrays.SparseArray([0.0, 1.0] * (COUNT // 2)),
        "period": pd.period_range("2024-01", periods=COUNT, freq="D"),
    }
)


class Count:
    def predict(self, X: Any) -> np.ndarray:
        return np.arange(X.shape[0] if hasattr(X, "shape") else len(X))


def recorded(data: Any, folder: Path, **options: Any) -> dict[str, Any]:
    path = folder / "model.pkl"
    path.write_bytes(b"model")
    document: dict[str, Any] = json.loads(
        modelpack.record(Count(), data, path, **options).read_text()
    )
    return document


def test_every_dtype_is_recorded_with_the_statistics_of_its_rows(tmp_path: Path) -> None:
    document = recorded(EVERY, tmp_path)
    fields = {field["name"]: field for field in document["fields"]}
    dtypes = {name: (field["type"], field["dtype"]) for name, field in fields.items()}
    assert dtypes == {
        "float": ("number", "float64"),
        "hole": ("number", "float64"),
        "small": ("number", "float32"),
        "integer": ("integer", "int64"),
        "flag": ("boolean", "bool"),
        "text": ("string", str(EVERY["text"].dtype)),
        "code": ("string", str(EVERY["code"].dtype)),
        "day": ("datetime", str(EVERY["day"].dtype)),
        "zoned": ("datetime", str(EVERY["zoned"].dtype)),
        "date": ("datetime", "object"),
        "lasts": ("any", str(EVERY["lasts"].dtype)),
        "price": ("number", "object"),
        "Int": ("integer", "Int64"),
        "Flag": ("boolean", "boolean"),
        "Float": ("number", "Float64"),
        "Text": ("string", "string"),
        "arrow": ("integer", "int64"),
        "arrows": ("string", "string"),
        "when": ("datetime", "datetime64[us]"),
        "grade": ("string", "category"),
        "year": ("integer", "category"),
        "thin": ("number", "float64"),
        "period": ("any", "period[D]"),
    }
    assert {name for name, field in fields.items() if field["nullable"]} == {
        "hole", "Int", "Flag", "Text", "arrows",
    }  # fmt: skip
    assert (fields["grade"]["categories"], fields["grade"]["ordered"]) == (
        ["low", "mid", "high"],
        True,
    )
    assert fields["year"]["categories"] == [2021, 2020, 2019]
    assert (fields["integer"]["minimum"], fields["integer"]["maximum"]) == (5, COUNT + 4)
    shares = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    assert fields["hole"]["quantiles"] == pytest.approx(list(EVERY["hole"].quantile(shares)))
    assert fields["price"]["maximum"] == 1.25 * (COUNT - 1)
    first = dict(zip(document["columns"], document["instances"][0], strict=True))
    assert (first["day"], first["date"]) == ("2024-01-01T00:00:00", "2024-01-01")
    assert first["zoned"] == "2024-01-01T00:00:00+01:00"
    assert (first["lasts"], first["price"], first["Int"]) == ("P0DT0H0M0S", 0, None)
    assert (first["flag"], first["code"], first["year"]) == (True, "000", 2020)


def test_no_row_is_kept_on_request(tmp_path: Path) -> None:
    document = recorded(EVERY, tmp_path, rows=0)
    assert (document["instances"], document["together"]["predictions"]) == ([], [])
    assert len(document["fields"]) == EVERY.shape[1]
    with pytest.raises(UsageError, match="101 rows cannot be kept"):
        recorded(EVERY, tmp_path, rows=101)


def test_rows_with_infinities_are_left_out_as_json_has_none(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": [np.inf, 1.0, -np.inf, 2.0, np.nan]})
    document = recorded(rows, tmp_path)
    assert document["instances"] == [[1.0], [2.0], [None]]
    assert (document["fields"][0]["minimum"], document["fields"][0]["maximum"]) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("rows", "fields"),
    [
        (np.array([[1.0, 2.0], [3.0, np.nan]]), [("x0", "number", 3.0), ("x1", "number", 2.0)]),
        (np.array([[True], [False]]), [("x0", "boolean", None)]),
        (sparse.csr_matrix([[0.0], [1.0]]), [("x0", "number", 1.0)]),
        ([{"a": 1, "b": "x"}, {"a": 5}], [("a", "integer", 5.0), ("b", "string", None)]),
        (["a text", "another"], []),
        (np.zeros((2, 1001)), []),
    ],
)  # fmt: skip
def test_rows_of_other_kinds_have_columns_too(rows: Any, fields: list[Any], tmp_path: Path) -> None:
    document = recorded(rows, tmp_path)
    assert [(f["name"], f["type"], f["maximum"]) for f in document["fields"]] == fields


def test_a_record_stays_small_however_wide_the_answers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelpack.parity.record.MAX_BYTES", 4000)
    document = recorded(pd.DataFrame(np.random.default_rng(0).random((50, 20))), tmp_path)
    count = len(document["instances"])
    assert 0 <= count < 20
    assert count == len(document["together"]["predictions"])


# --- what packaging makes of it ------------------------------------------------------------------


def prepared(model: Any, data: Any, folder: Path, **options: Any) -> tuple[ModelSpec, Reference]:
    path = folder / "model.joblib"
    joblib.dump(model, path)
    modelpack.record(model, data, path, **options)
    return prepare(inspect(str(path)), ReferenceSources((path,)))


def fields_by_name(spec: ModelSpec) -> dict[str, Field]:
    return {field.name: field for field in spec.signature.inputs}


FRAME = pd.DataFrame(
    {
        "age": [20, 30, 40, 50],
        "member": [True, False, True, False],
        "city": pd.Categorical(["Bonn", "Ulm", "Bonn", "Ulm"], ["Ulm", "Bonn", "Hof"]),
        "born": pd.to_datetime(["2001-01-01", "2002-01-01", "2003-01-01", "2004-01-01"]),
    }
)


def test_the_signature_gets_types_ranges_categories_and_samples(tmp_path: Path) -> None:
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough"
    )
    rows = FRAME[["age", "member", "city"]]
    model = make_pipeline(encoder, LogisticRegression()).fit(rows, [0, 1, 0, 1])
    spec, reference = prepared(model, rows, tmp_path)
    fields = fields_by_name(spec)
    age, member, city = fields["age"], fields["member"], fields["city"]
    assert (age.type, age.dtype, age.minimum, age.maximum) == ("integer", "int64", 20, 50)
    assert age.quantiles is not None
    assert age.quantiles[3] == 35
    assert (member.type, member.dtype, member.example) == ("boolean", "bool", True)
    assert (city.type, city.dtype) == ("string", "category")
    assert city.categories == ("Ulm", "Bonn", "Hof")
    assert spec.signature.layout == "frame"
    assert spec.signature.samples == reference.rows[:5]
    assert reference.rows[0] == (20, True, "Bonn")


def test_record_without_rows_gives_ranges_and_synthetic_rows(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["age"]], [1.0, 2.0, 3.0, 4.0])
    spec, reference = prepared(model, FRAME[["age"]], tmp_path, rows=0)
    assert (reference.made_up, reference.answers) == (True, None)
    assert all(20 <= row[0] <= 50 for row in reference.rows)  # type: ignore[operator]
    assert spec.signature.samples == ()
    assert fields_by_name(spec)["age"].example == 35


def test_a_model_that_kept_no_names_gets_those_of_its_frame(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["age"]].to_numpy(), [1.0, 2.0, 3.0, 4.0])
    with pytest.warns(UserWarning, match="feature names"):
        spec, _ = prepared(model, FRAME[["age"]], tmp_path)
    assert (spec.signature.named, fields_by_name(spec)["age"].maximum) == (True, 50)


def test_older_record_is_read(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["age"]], [1.0, 2.0, 3.0, 4.0])
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    sidecar = modelpack.record(model, FRAME[["age"]], path)
    document = json.loads(sidecar.read_text())
    for key in ("fields", "layout"):
        del document[key]
    sidecar.write_text(json.dumps(document))
    spec, reference = prepare(inspect(str(path)), ReferenceSources((path,)))
    assert reference.source == "record"
    assert spec.signature.inputs[0].example == 20


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "change",
    [
        {"instances": DEEP},
        {"instances": {}},
        {"instances": [[[1]]]},
        {"instances": [[{"a": 1}]]},
        {"columns": [1]},
        {"columns": {"age": 1}},
        {"fields": [{"name": 1, "type": "number"}]},
        {"fields": [{"name": "age", "type": "cow"}]},
        {"fields": [{"name": "age", "type": "number", "quantiles": ["a"] * 7}]},
        {"fields": [{"name": "age", "type": "number", "minimum": []}]},
        {"fields": [{"name": "age", "type": "number", "categories": [[1]]}]},
        {"fields": [[]]},
        {"fields": 3},
        {"fields": [{"name": "age", "type": "number"}] * 2},
        {"files": [{}]},
        {"files": None},
        {"versions": []},
        {"python": ["3.11"]},
        {"together": []},
        {"together": {"predictions": {"a": 1}, "probabilities": None}},
        {"together": {"predictions": [[[[[[[[[1]]]]]]]]] * 4, "probabilities": None}},
        {"alone": {"predictions": [{}] * 4, "probabilities": None}},
        {"alone": {"predictions": [float("nan")] * 4, "probabilities": None}},
    ],
)
def test_malformed_record_is_a_usage_error(change: dict[str, Any], tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["age"]], [1.0, 2.0, 3.0, 4.0])
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    sidecar = modelpack.record(model, FRAME[["age"]], path)
    document = {**json.loads(sidecar.read_text()), **change}
    sidecar.write_text(json.dumps(document).replace(json.dumps(DEEP), DEEP))
    with pytest.raises(UsageError):
        prepare(inspect(str(path)), ReferenceSources((path,)))


def test_a_pipe_in_place_of_a_record_is_not_waited_for(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["age"]], [1.0, 2.0, 3.0, 4.0])
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    os.mkfifo(f"{path}.record.json")
    with pytest.raises(UsageError, match="not a regular file"):
        prepare(inspect(str(path)), ReferenceSources((path,)))


def test_answers_equal_those_for_the_frame_of_the_service(tmp_path: Path) -> None:
    """BLAS adds up a C-ordered matrix otherwise than the columns that a service puts together."""
    frame, target = load_diabetes(return_X_y=True, as_frame=True)  # C-ordered
    model = LinearRegression().fit(frame, target)
    _, reference = prepared(model, frame, tmp_path)
    by_columns = pd.DataFrame({name: frame[name].iloc[:20].tolist() for name in frame})
    assert model.predict(by_columns).tolist() != model.predict(frame.iloc[:20]).tolist()
    assert reference.answers is not None
    assert list(reference.answers.predictions or ()) == model.predict(by_columns).tolist()


def test_the_range_is_that_of_all_rows_in_any_order() -> None:
    (column,) = training.columns(pd.DataFrame({"size": [3.0, -1.0, np.nan, 7.0, 2.0]}))
    assert (column.minimum, column.maximum) == (-1.0, 7.0)
    assert column.quantiles is not None
    assert (column.quantiles[0], column.quantiles[-1]) == (-1.0, 7.0)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        (pd.cut(pd.Series([1, 2, 3]), [0, 2, 4]), "Interval"),
        (pd.Series([datetime.time(8, 30)] * 3), "time"),
    ],
)
def test_values_that_no_service_can_take_are_refused(
    values: Any, type_: str, tmp_path: Path
) -> None:
    joblib.dump(None, tmp_path / "m")
    with pytest.raises(UsageError, match=f"column a cannot be recorded.* a {type_}"):
        modelpack.record(LinearRegression(), pd.DataFrame({"a": values}), tmp_path / "m")
