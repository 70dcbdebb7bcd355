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


def client_without_record(model: LGBMClassifier, form: str, folder: Path) -> Any:
    if form == "wrapper":
        path = saved(model, folder)
    else:
        path = folder / "model.txt"
        model.booster_.save_model(path)
    render(inspect(str(path)), ENVIRONMENT, BASE, folder / "bundle")
    return create_app(Service.load(folder / "bundle")).test_client()


@pytest.mark.parametrize("form", ["wrapper", "text"])
@pytest.mark.parametrize("frame", [FRAME, KINDS], ids=["numbers", "categories"])
def test_service_without_a_record_takes_the_names_of_training(
    frame: pd.DataFrame, form: str, tmp_path: Path
) -> None:
    client = client_without_record(fitted(frame), form, tmp_path)
    shuffled = frame[frame.columns[::-1]]
    records, csv = shuffled.to_dict("records"), shuffled.to_csv(index=False)
    split = shuffled.to_dict("split")
    tensors = [
        {"name": name, "shape": [len(frame)], "data": list(column),
         "datatype": "BYTES" if name == "the kind" else "FP64"}
        for name, column in shuffled.items()
    ]  # fmt: skip
    stored = frame.rename(columns=lambda name: name.replace(" ", "_"))
    expected = client.post("/predict", json={"instances": stored.to_dict("records")})
    answers = [
        client.post("/predict", json={"instances": records}),
        client.post("/predict", json={"instances": [*stored.head(1).to_dict("records"), *records]}),
        client.post("/predict", data=csv, content_type="text/csv"),
        client.post("/v1/models/model:predict", json={"inputs": shuffled.to_dict("list")}),
        client.post("/invocations", json={"dataframe_split": split}),
        client.post("/v2/models/model/infer", json={"inputs": tensors}),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    predictions = expected.json["predictions"]
    found = [answer.json for answer in answers]
    assert found[0] == found[2] == expected.json
    assert found[1]["predictions"] == [predictions[0], *predictions]
    assert (found[3]["predictions"], found[4]["predictions"]) == (predictions, predictions)
    assert found[5]["outputs"][0]["data"] == np.ravel(predictions).tolist()


def test_names_that_are_stored_alike_are_reported(tmp_path: Path) -> None:
    client = client_without_record(fitted(), "text", tmp_path)
    rows = FRAME.head(1).assign(**{"a b_c": 2.0})
    both = FRAME.head(1).assign(**{"length_(cm)": 2.0})
    csv = rows.to_csv(index=False)
    for answer in (
        client.post("/predict", json={"instances": rows.to_dict("records")}),
        client.post("/predict", data=csv, content_type="text/csv"),
    ):
        assert answer.status_code == 422
        expected = 'expected "a_b_c" (LightGBM replaced spaces in names by "_"), got an unknown one'
        assert expected in answer.json["detail"]
    answer = client.post("/predict", json={"instances": both.to_dict("records")})
    assert answer.headers["Modelpack-Ignored-Inputs"] == '"length (cm)"'
