"""The rows that a plan is tried on: each category, flags, missing and unknown values, limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plan_trials import manifest, replace_functions, try_plan
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelpack.serving.manifest import Field
from modelpack.serving.runtimes import trials
from modelpack.serving.runtimes.plans import UnplannedError, encoding, runtime
from modelpack.serving.runtimes.trials import UNKNOWN, is_same

CITIES = tuple(f"city {n:04}" for n in range(1300))
FIELDS = [
    Field("city", "string", example=CITIES[5], categories=CITIES),
    Field("job", "string", nullable=True, example="cook", categories=("cook", "smith")),
    Field("paid", "boolean", example=True),
    Field("age", "number", nullable=True, example=41.0),
    Field("visits", "integer", example=3, dtype="int16"),
]


def rows() -> list[list]:
    return [row for group in trials.coverage_groups(manifest("frame", FIELDS)) for row in group]


def column(name: str) -> list:
    index = [field.name for field in FIELDS].index(name)
    return [row[index] for row in rows()]


def test_every_category_occurs_and_those_at_the_ends_alone():
    assert set(column("city")) >= set(CITIES)
    example = [field.example for field in FIELDS]
    assert [CITIES[0], *example[1:]] in rows()
    assert [CITIES[-1], *example[1:]] in rows()


def test_flags_missing_and_unknown_values_occur():
    assert {True, False} <= set(column("paid"))
    assert None in column("age")
    assert None in column("job")
    assert None not in column("city")
    assert {UNKNOWN} <= set(column("city")) & set(column("job"))


def test_the_limits_of_each_dtype_occur():
    assert {-32768, 32767, 0} <= set(column("visits"))
    assert all(abs(n) <= 32768 for n in column("visits"))
    floats = [value for value in column("age") if value is not None]
    assert {np.finfo(np.float64).max, -np.finfo(np.float64).max, 5e-324} <= set(floats)
    assert any(value == 0 and np.signbit(value) for value in floats)


def test_rows_that_may_be_refused_are_alone():
    groups = list(trials.coverage_groups(manifest("frame", FIELDS)))
    for group in groups:
        if any(UNKNOWN in row or np.finfo(np.float64).max in row for row in group):
            assert len(group) == 1
        assert len(group) <= trials.MAX_GROUP_ROWS


def table(size: int) -> tuple[pd.DataFrame, list[Field]]:
    names = tuple(f"c{n:03}" for n in range(size))
    fields = [
        Field("code", "string", example="c000", categories=names),
        Field("size", "number", example=1.0),
    ]
    frame = pd.DataFrame({"code": np.array(names * 2, object), "size": np.arange(2.0 * size)})
    return frame, fields


def test_codes_that_wrap_around_are_noticed(monkeypatch):
    """The fault: the plan does not look at the dtype, and 72 of 200 categories get a wrong code."""
    frame, fields = table(200)
    codes = make_column_transformer((OrdinalEncoder(dtype=np.int8), ["code"]))
    model = make_pipeline(codes, DecisionTreeClassifier()).fit(frame, np.arange(400) % 200 % 3)
    with pytest.raises(UnplannedError, match="returns codes of int8"):
        try_plan(model, "frame", fields)
    encode_columns = encoding.encode_columns
    monkeypatch.setattr(encoding, "_require_wide", lambda *arguments: None)
    monkeypatch.setattr(encoding, "encode_columns", lambda lookups, dtype: encode_columns(lookups))
    with pytest.raises(UnplannedError, match="differs"):
        try_plan(model, "frame", fields)


def test_a_wrong_last_category_is_noticed(monkeypatch):
    frame, fields = table(700)
    columns = make_column_transformer((OneHotEncoder(), ["code"]), (StandardScaler(), ["size"]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame, np.arange(1400) % 2)
    assert "rows" in try_plan(model, "frame", fields).reason

    def last(batch, row_by_row):
        right = batch["predict_proba"]
        batch["predict_proba"] = lambda block: right(
            [np.where(block[0] == "c699", "c001", block[0]).astype(object), block[1]]
        )

    replace_functions(monkeypatch, last)
    with pytest.raises(UnplannedError, match="predict_proba of the plan differs"):
        try_plan(model, "frame", fields)


def test_rows_for_which_there_is_no_time_are_counted(monkeypatch):
    frame, fields = table(50)
    columns = make_column_transformer((OneHotEncoder(), ["code"]), (StandardScaler(), ["size"]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame, np.arange(100) % 2)
    monkeypatch.setattr(runtime, "PATIENCE_SECONDS", 100)
    reason = try_plan(model, "frame", fields).reason
    monkeypatch.setattr(runtime, "PATIENCE_SECONDS", -1)
    found = try_plan(model, "frame", fields).reason
    left = int(found.partition("; ")[2].partition(" ")[0])
    assert left + int(found.split()[6]) == int(reason.split()[6])
    assert "more were not tried" in found
    assert "more" not in reason


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Field("x", "datetime", example=0), "has dates"),
        (Field("x", "number", example=0.0, dtype="Float64"), "has the dtype Float64"),
        (Field("x", "number", example=0.0, dtype="float32"), "column is float32"),
    ],
)
def test_columns_that_a_plan_might_misread_leave_no_plan(field, why):
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(np.arange(20.0).reshape(-1, 1), np.arange(20) % 2)
    with pytest.raises(UnplannedError, match=why):
        try_plan(model, "array", [field])


def test_trees_take_short_floats():
    model = RandomForestClassifier(3).fit(np.arange(20.0).reshape(-1, 1), np.arange(20) % 2)
    assert (
        try_plan(model, "array", [Field("x", "number", example=0.5, dtype="float32")]).kind
        == "plan"
    )


@pytest.mark.parametrize("named", [True, False])
def test_encoders_of_texts_alone_have_a_plan(named):
    values = np.array([["a", "u"], ["b", "v"], ["c", "u"]] * 9, object)
    table = pd.DataFrame(values, columns=["x0", "x1"]) if named else values
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(table, np.arange(27) % 2)
    fields = [
        Field(f"x{n}", "string", example=each[0], categories=tuple(each))
        for n, each in enumerate([["a", "b", "c"], ["u", "v"]])
    ]
    assert try_plan(model, "frame" if named else "array", fields).kind == "plan"


NAMED = {
    "linear": LinearRegression(),
    "bayes": GaussianNB(),
    "scaled": make_pipeline(StandardScaler(), Ridge()),
    "components": PCA(2),
}


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32"])
@pytest.mark.parametrize("name", NAMED)
def test_plans_of_named_columns_have_the_bits_of_the_frame(name, dtype):
    """numpy adds up columns in the memory order of the frame, and casts integers to C order."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 6)) * 9, columns=[*"abcdef"])
    frame = frame.round().astype(dtype) if dtype != "float64" else frame
    model = clone(NAMED[name]).fit(frame, (frame.sum(axis=1) > 0).astype(int))
    fields = [Field(c, "number", example=frame[c][0].item(), dtype=dtype) for c in frame]
    planned = try_plan(model, "array", fields)
    method = "transform" if name == "components" else "predict"
    method = "predict_proba" if name == "bayes" else method
    for count in (1, 2, 7, 50):
        rows = frame.head(count)
        got = planned.call_batch(method, rows.to_numpy(np.float64).copy())
        assert is_same(got, getattr(model, method)(rows)), count


def test_many_rows_decide_how_integers_are_added_up():
    """A plan that adds up casted columns in the order of the frame differs in one row of fifty."""
    random = np.random.default_rng(0)
    for _ in range(10):
        frame = pd.DataFrame(random.integers(0, [90, 3, 30], (300, 3)), columns=["a", "b", "c"])
        target = frame["a"] + frame["c"] > random.integers(20, 100, 300)
        model = LogisticRegression().fit(frame, target)
        fields = [Field(c, "integer", example=int(frame[c][0]), dtype="int64") for c in frame]
        got = try_plan(model, "array", fields).call_batch(
            "predict_proba", frame.to_numpy(np.float64)
        )
        assert is_same(got, model.predict_proba(frame))
