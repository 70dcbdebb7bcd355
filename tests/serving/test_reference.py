"""The model in the sandbox: called as its author calls it, without the service."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from frame_estimators import manifest_for
from lightgbm import LGBMRegressor
from serving_models import BASE, ENVIRONMENT
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from modelpack.bundle.render import render
from modelpack.compilation.compile import compile_file
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.serving.data import results
from modelpack.serving.reference import ReferenceModel, encode

ROWS = 120
_rng = np.random.default_rng(0)
_GROUPS = _rng.integers(0, 3, ROWS)
FRAME = pd.DataFrame(
    {
        "id": pd.Categorical([[30, 10, 20][g] for g in _GROUPS], categories=[30, 10, 20]),
        "town": pd.Categorical([["Oslo", "Rome", "Bonn"][g] for g in _GROUPS[::-1]]),
        "x": _rng.normal(size=ROWS),
    }
)
TARGET = (FRAME.x + np.array([2.0, -2.0, 0.0])[_GROUPS] > 0).astype(int)
SMALL = {"n_estimators": 8, "random_state": 0, "n_jobs": 1}


def lightgbm(path: Path) -> Any:
    model = LGBMRegressor(**SMALL, verbose=-1, min_child_samples=3, min_data_per_group=2)
    model.fit(FRAME, TARGET).booster_.save_model(path)
    return model


def xgboost(path: Path) -> Any:
    model = XGBClassifier(**SMALL, enable_categorical=True).fit(FRAME, TARGET)
    model.save_model(path)
    return model


def catboost(path: Path) -> Any:
    model = CatBoostClassifier(
        iterations=8, random_seed=0, verbose=False, allow_writing_files=False,
        cat_features=["id", "town"],
    )  # fmt: skip
    model.fit(FRAME, TARGET).save_model(str(path))
    return model


def test_integer_categories_of_catboost_among_numbers(tmp_path: Path) -> None:
    rows = FRAME[["id", "x"]].astype(object).to_numpy()
    model = CatBoostRegressor(
        iterations=8, random_seed=0, verbose=False, allow_writing_files=False, cat_features=[0]
    ).fit(rows, TARGET)
    model.save_model(str(tmp_path / "m.cbm"))
    reference, _ = prepare_reference(tmp_path / "m.cbm", tmp_path)
    answers = reference.answers([rows.tolist()])
    assert answers["predictions"] == model.predict(rows).tolist()


def prepare_reference(path: Path, folder: Path) -> tuple[ReferenceModel, list[list[Any]]]:
    spec, reference = prepare(inspect(path), ReferenceSources([path]))
    bundle = render(spec, ENVIRONMENT, BASE, folder / "bundle")
    return ReferenceModel(bundle.directory), [list(row) for row in reference.rows]


@pytest.mark.parametrize(
    ("save", "name"),
    [(lightgbm, "m.txt"), (xgboost, "m.json"), (xgboost, "m.ubj"), (catboost, "m.cbm")],
)
def test_a_native_file_answers_as_its_estimator_does(
    save: Callable[[Path], Any], name: str, tmp_path: Path
) -> None:
    model = save(tmp_path / name)
    reference, _ = prepare_reference(tmp_path / name, tmp_path)
    frame = FRAME[:30]
    rows = frame.astype(object).to_numpy().tolist()
    answers = reference.answers([rows])
    assert answers["predictions"] == model.predict(frame).tolist()
    if reference.facts.probabilities:
        assert answers["probabilities"] == model.predict_proba(frame).tolist()
    assert (
        reference.answers([[row] for row in rows[:3]])["predictions"] == answers["predictions"][:3]
    )


def test_bodies_equal_those_that_pandas_writes(tmp_path: Path) -> None:
    lightgbm(tmp_path / "m.txt")
    reference, rows = prepare_reference(tmp_path / "m.txt", tmp_path)
    frame = pd.DataFrame(rows, columns=list(FRAME.columns)).astype(FRAME.dtypes)
    found = reference.bodies(rows)["bodies"]
    bodies = {body["name"]: base64.b64decode(body["content"]) for body in found}
    assert bodies["json"].decode() == frame.to_json(orient="records")
    assert bodies["csv"].decode() == frame.to_csv(index=False)
    assert pd.read_parquet(io.BytesIO(bodies["parquet"])).x.equals(frame.x)
    assert all(body["predictions"] for body in found)


def test_frame_that_pandas_cannot_write_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no JSON of it")

    joblib.dump(StandardScaler().fit(FRAME[["x"]]), tmp_path / "m.joblib")
    reference, rows = prepare_reference(tmp_path / "m.joblib", tmp_path)
    monkeypatch.setattr("modelpack.serving.reference_bodies.write", fail)
    assert reference.bodies(rows) == {"bodies": [], "without_bodies": "ValueError: no JSON of it"}


def test_names_that_occur_twice_have_no_bodies(tmp_path: Path) -> None:
    joblib.dump(StandardScaler().fit(FRAME[["x"]]), tmp_path / "m.joblib")
    reference, rows = prepare_reference(tmp_path / "m.joblib", tmp_path)
    assert reference.bodies(rows)["bodies"]
    twice = manifest_for(FRAME[["x"]], "array").inputs * 2
    object.__setattr__(reference.facts, "inputs", twice)
    assert reference.bodies(rows) == {"bodies": []}


def test_compiled_model_also_answers_as_to_simultaneous_requests(tmp_path: Path) -> None:
    joblib.dump(StandardScaler().fit(FRAME[["x"]]), tmp_path / "m.joblib")
    original, _ = prepare_reference(tmp_path / "m.joblib", tmp_path)
    rows = [[1.0], [2.0]]
    assert original.batched(rows) is None
    spec = compile_file(inspect(tmp_path / "m.joblib"), tmp_path / "m.compiled")
    reference = ReferenceModel(render(spec, ENVIRONMENT, BASE, tmp_path / "compiled").directory)
    assert reference.batched(rows) == reference.answers([rows]) == original.answers([rows])
    reference.runner.call_each = lambda _method, rows: rows[0][:, np.newaxis] * 0
    assert reference.batched(rows) == {"predictions": [[0.0], [0.0]], "probabilities": None}


@pytest.mark.parametrize("answer", [[1.0, 2.0], [], None, 3.0, "text"])
def test_a_wrong_number_of_answers_is_an_error(answer: Any, tmp_path: Path) -> None:
    joblib.dump(StandardScaler().fit(FRAME[["x"]]), tmp_path / "m.joblib")
    reference, _ = prepare_reference(tmp_path / "m.joblib", tmp_path)
    reference.model.transform = lambda _: answer
    with pytest.raises(RuntimeError, match="transform of 1 rows returned"):
        reference.answers([[[0.5]]])


@pytest.mark.parametrize("value", [pd.Timestamp("2021-04-01"), pd.Timedelta("1h"), 0.1, None, "a"])
def test_objects_are_written_as_the_service_writes_them(value: Any) -> None:
    assert encode([[value]]) == results.dump([[value]])
