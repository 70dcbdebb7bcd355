"""LightGBM replaces spaces in names by "_", and predicts rows with the original names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import modelpack
from modelpack.bundle.render import render
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.parity.row_files import Table
from modelpack.parity.spaces import with_spaces
from modelpack.serving import Service, create_app
from modelpack.types import Estimator, Field, ModelSpec
from tests.support.gunicorn_server import serve
from tests.support.serving_models import BASE, ENVIRONMENT

LENGTHS = np.random.default_rng(0).random(60).round(3)
FRAME = pd.DataFrame({"length (cm)": LENGTHS, "width\t(cm)": LENGTHS[::-1], "a_b c": LENGTHS**2})
KINDS = FRAME.assign(**{"the kind": pd.Categorical(["a b", "c", "d"] * 20)})
LABELS = np.where(LENGTHS > 0.5, "long", "short")


def fitted(frame: pd.DataFrame = FRAME) -> LGBMClassifier:
    return LGBMClassifier(n_estimators=2, verbose=-1).fit(frame, LABELS)


def saved(model: Any, folder: Path) -> Path:
    path = folder / "model.joblib"
    joblib.dump(model, path)
    return path


def input_names(spec: ModelSpec) -> list[str]:
    return [field.name for field in spec.signature.inputs]


FORMS: dict[str, Callable[[LGBMClassifier], Any]] = {
    "wrapper": lambda model: model,
    "booster": lambda model: model.booster_,
    "pipeline": make_pipeline,
    "second step": lambda model: make_pipeline("passthrough", model),
    "function": lambda model: make_pipeline(FunctionTransformer(), model),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("frame", [FRAME, KINDS], ids=["numbers", "categories"])
def test_recorded_names_become_inputs(form: str, frame: pd.DataFrame, tmp_path: Path) -> None:
    model = FORMS[form](fitted(frame))
    path = saved(model, tmp_path)
    found = inspect(str(path))
    assert input_names(found)[:3] == ["length_(cm)", "width\t(cm)", "a_b_c"]
    modelpack.record(model, frame, path)
    spec, reference = prepare(found, ReferenceSources((path,)))
    assert input_names(spec) == list(frame.columns)
    assert reference.rows[0] == tuple(frame.iloc[0])


def test_names_of_an_example_become_inputs_of_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    fitted().booster_.save_model(path)
    example = tmp_path / "rows.csv"
    FRAME[FRAME.columns[::-1]].head().to_csv(example, index=False)
    spec, reference = prepare(inspect(str(path)), ReferenceSources((path,), example))
    assert input_names(spec) == list(FRAME.columns)
    assert reference.rows[0] == tuple(FRAME.iloc[0])


def test_only_unambiguous_names_of_lightgbm_change(make_spec: Callable[..., ModelSpec]) -> None:
    fields = [Field(name, "number") for name in ("a_b_c", "d_e", "f_g")]
    spec = replace(make_spec(*fields, named=True), framework="lightgbm")
    table = Table(("a b_c", "a_b c", "d_e", "d e", "f g", "more"), [[1] * 6])
    assert input_names(with_spaces(spec, table)) == ["a_b_c", "d_e", "f g"]
    steps = (Estimator("scale", "sklearn.preprocessing._data.StandardScaler"),
             Estimator("model", "lightgbm.sklearn.LGBMClassifier"))  # fmt: skip
    scaled = replace(spec, framework="scikit-learn", steps=steps)
    assert with_spaces(scaled, table) == scaled


def test_rows_of_a_record_are_named_in_an_error(tmp_path: Path) -> None:
    model = fitted()
    path = saved(model, tmp_path)
    modelpack.record(model, FRAME.rename(columns=str.upper), path)
    with pytest.raises(UsageError) as caught:
        prepare(inspect(str(path)), ReferenceSources((path,)))
    assert caught.value.message == (
        "The recorded rows name none of the model's inputs (length_(cm), width\t(cm), a_b_c)."
    )


@pytest.mark.parametrize("frame", [FRAME, KINDS], ids=["numbers", "categories"])
def test_service_predicts_rows_with_the_names_of_training(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    model = fitted(frame)
    path = saved(model, tmp_path)
    modelpack.record(model, frame, path)
    spec, _ = prepare(inspect(str(path)), ReferenceSources((path,)))
    render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    with serve(tmp_path / "bundle") as server:
        rows = frame.to_dict("records")
        response, answer = server.request("POST", "/predict", {"instances": rows})
    assert (response.status, answer["predictions"]) == (200, model.predict(frame).tolist())


@pytest.mark.parametrize("form", ["wrapper", "text"])
def test_service_without_a_record_reports_the_stored_name(form: str, tmp_path: Path) -> None:
    if form == "wrapper":
        path = saved(fitted(), tmp_path)
    else:
        path = tmp_path / "model.txt"
        fitted().booster_.save_model(path)
    render(inspect(str(path)), ENVIRONMENT, BASE, tmp_path / "bundle")
    client = create_app(Service.load(tmp_path / "bundle")).test_client()
    csv = FRAME[["length (cm)"]].to_csv(index=False)
    for answer in (
        client.post("/predict", json={"instances": [{"length (cm)": 1}]}),
        client.post("/predict", data=csv, content_type="text/csv"),
    ):
        assert answer.status_code == 422
        assert (
            '"length (cm)": expected "length_(cm)" (LightGBM replaced spaces in names by "_"),'
            " got an unknown one"
        ) in answer.json["detail"]
