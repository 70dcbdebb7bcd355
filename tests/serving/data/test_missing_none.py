"""Columns of objects whose missing values are None, as SQL, JSON and pandas before 3 give them.

Encoders distinguish None from NaN: a missing value must be the same as in training.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from serving_models import BASE, ENVIRONMENT
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

import modelpack
from modelpack.bundle.render import render
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.serving import app as serving_app
from modelpack.serving.protocols import predict
from modelpack.serving.reference import ReferenceModel
from modelpack.serving.service import Service
from modelpack.types import ModelSpec

RNG = np.random.default_rng(0)
COUNT = 60
SHARES = (0.5, 0.3, 0.2)
VALUES: dict[str, list[Any]] = {
    "text": ["S", "C", None],
    "flag": [True, False, None],
    "code": [3, 7, None],
}
CHOSEN = {
    name: RNG.choice(np.array(values, object), COUNT, p=SHARES) for name, values in VALUES.items()
}
FRAME = pd.DataFrame(CHOSEN, dtype=object).assign(fare=RNG.normal(size=COUNT).round(3))
TEXTS = FRAME[list(VALUES)].map(lambda value: None if value is None else str(value)).astype(object)
TEXTS = TEXTS.where(TEXTS.notna(), None)
Y = FRAME.text.isna() ^ (FRAME.flag.isna() | FRAME.code.isna())
NAN = FRAME.assign(**{name: FRAME[name].where(FRAME[name].notna(), np.nan) for name in VALUES})


def encoded(encoder: Any, *before: Any) -> Any:
    columns = make_column_transformer(
        (make_pipeline(*before, encoder), list(VALUES)), remainder="passthrough"
    )
    return make_pipeline(columns, LogisticRegression())


MODELS = {
    "one-hot": lambda: encoded(OneHotEncoder(handle_unknown="ignore")),
    "ordinal": lambda: encoded(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    ),
    "imputer of NaN": lambda: encoded(
        OneHotEncoder(handle_unknown="ignore"), SimpleImputer(strategy="most_frequent")
    ),
    "imputer of None": lambda: encoded(
        OneHotEncoder(handle_unknown="ignore"),
        SimpleImputer(strategy="constant", missing_values=None, fill_value="none"),
    ),
}


def saved(model: Any, folder: Path) -> ModelSpec:
    joblib.dump(model, folder / "model.joblib")
    return inspect(folder / "model.joblib")


def served(spec: ModelSpec, folder: Path) -> tuple[Any, ReferenceModel]:
    """A client of the service, and the model as the sandbox calls it."""
    bundle = Path(render(spec, ENVIRONMENT, BASE, folder / "bundle").path)
    app = serving_app.empty_app()
    app.register_blueprint(predict.routes(Service.load(bundle)))
    return app.test_client(), ReferenceModel(bundle)


def probabilities(client: Any, body: str) -> list[list[float]]:
    answer = client.post("/predict?probabilities=true", data=body).get_json()
    return [list(row.values()) for row in answer["probabilities"]]


def nones(spec: ModelSpec) -> list[str]:
    return [field.name for field in spec.signature.inputs if field.missing_none]


@pytest.mark.parametrize("name", MODELS)
def test_none_is_missing_as_in_training(name: str, tmp_path: Path) -> None:
    frame = FRAME if name in {"one-hot", "ordinal"} else FRAME.assign(**TEXTS)
    model = MODELS[name]().fit(frame, Y)
    spec = saved(model, tmp_path)
    assert nones(spec) == list(VALUES)
    client, sandbox = served(spec, tmp_path)
    for rows in (frame, *(frame[n : n + 1].copy() for n in range(COUNT))):
        got = probabilities(client, rows.to_json(orient="records"))
        assert got == model.predict_proba(rows).tolist()
    answers = sandbox.answers([json.loads(frame.to_json(orient="values"))])
    assert answers["probabilities"] == model.predict_proba(frame).tolist()


def test_the_author_would_get_other_answers_for_nan() -> None:
    """Without it, the test above would prove nothing."""
    model = MODELS["one-hot"]().fit(FRAME, Y)
    assert (model.predict_proba(FRAME) != model.predict_proba(NAN)).any()


def test_nan_stays_nan(tmp_path: Path) -> None:
    assert nones(saved(MODELS["one-hot"]().fit(NAN, Y), tmp_path)) == []


def test_arrays_of_objects_have_none_too(tmp_path: Path) -> None:
    array = FRAME[["text", "code"]].to_numpy(object)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    spec = saved(model.fit(array, Y), tmp_path)
    assert nones(spec) == ["x0", "x1"]
    client, sandbox = served(spec, tmp_path)
    expected = model.predict_proba(array).tolist()
    assert probabilities(client, json.dumps({"instances": array.tolist()})) == expected
    assert sandbox.answers([array.tolist()])["probabilities"] == expected


@pytest.mark.parametrize(("frame", "expected"), [(FRAME, list(VALUES)), (NAN, [])])
def test_record_contains_missing_values(
    frame: pd.DataFrame, expected: list[str], tmp_path: Path
) -> None:
    columns = make_column_transformer(("passthrough", ["fare"]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    spec = saved(model, tmp_path)
    assert nones(spec) == []
    modelpack.record(model, frame, tmp_path / "model.joblib")
    spec, _ = prepare(spec, ReferenceSources((tmp_path / "model.joblib",)))
    assert nones(spec) == expected
