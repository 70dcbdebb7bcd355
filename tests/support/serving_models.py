"""Small trained models of many kinds, their specs, and bundles of native model files."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from faulty_model import GOOD, Faulty
from hostile_model import Hostile
from printing_model import Printing
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from stubborn_model import Stubborn

from modelpack.bundle.render import render
from modelpack.inspection import inspect
from modelpack.types import (
    BaseImage,
    Bundle,
    Environment,
    Field,
    ModelFile,
    ModelSpec,
    Safety,
    Signature,
)

BASE = BaseImage("python:3.11-slim", "3.11", "registry", "sha256:" + "0" * 64)
ENVIRONMENT = Environment(
    python="3.11",
    platform="linux/amd64",
    requirements={"scikit-learn": "1.9.1"},
    origins={"scikit-learn": "file"},
    lock="scikit-learn==1.9.1 \\\n    --hash=sha256:" + "1" * 64 + "\n",
)
IRIS_NAMES = ("sepal length", "sepal width", "petal length", "petal width")


@dataclass(frozen=True)
class Trained:
    model: Any
    signature: Signature
    task: str = "classifier"
    method: str = "predict"
    title: str = ""
    description: str = ""


def build_spec(path: Path, trained: Trained, format_: str = "joblib") -> ModelSpec:
    content = path.read_bytes()
    kind = type(trained.model)
    return ModelSpec(
        file=ModelFile(
            str(path), hashlib.sha256(content).hexdigest(), len(content), "raw", 4, format_
        ),
        format=format_,
        framework="scikit-learn",
        framework_version="1.9.1",
        python=None,
        task=trained.task,
        estimator=f"{kind.__module__}.{kind.__qualname__}",
        steps=(),
        method=trained.method,
        requirements={"scikit-learn": "==1.9.1"},
        versions={"scikit-learn": "1.9.1"},
        local_modules=(),
        signature=trained.signature,
        safety=Safety("pass"),
        globals=inspect(path).globals,
        title=trained.title,
        description=trained.description,
    )


def render_bundle(trained: Trained, folder: Path, format_: str = "joblib") -> Bundle:
    """Save the model of `trained` and render its bundle in `folder`."""
    path = folder / "saved"
    if format_ == "joblib":
        joblib.dump(trained.model, path)
    else:
        path.write_bytes(pickle.dumps(trained.model))
    return render(build_spec(path, trained, format_), ENVIRONMENT, BASE, folder / "bundle")


def iris() -> Trained:
    data, target = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[target]
    inputs = tuple(Field(f"x{index}", "number", example=5.0) for index in range(4))
    classes = ("setosa", "versicolor", "virginica")
    return Trained(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(data, names),
        Signature(inputs, (Field("label", "string"),), classes, probabilities=True),
    )


def people() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [20.0, None, 60.0, 40.0, 33.0, 51.0],
            "city": ["Rome", "Oslo", None, "Rome", "Oslo", "Rome"],
            "visits": [1, 2, 3, 4, 5, 6],
            "member": [True, False, True, False, True, True],
        }
    ).astype({"city": object})


def mixed() -> Trained:
    frame = people()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = ColumnTransformer(
        [
            ("n", numbers, ["age", "visits"]),
            ("w", words, ["city"]),
            ("m", "passthrough", ["member"]),
        ]
    )
    inputs = (
        Field("age", "number", nullable=True, example=30.0),
        Field("city", "string", nullable=True, example="Rome"),
        Field("visits", "integer", example=3),
        Field("member", "boolean", example=True),
    )
    return Trained(
        make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 0, 1, 0, 1]),
        Signature(
            inputs,
            (Field("label", "integer"),),
            (0, 1),
            layout="frame",
            named=True,
            probabilities=True,
        ),
    )


def texts() -> Trained:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model.fit(["good fun", "great fun", "bad bore", "sad bore"], [True, True, False, False])
    return Trained(
        model,
        Signature(
            (Field("text", "string", example="good"),),
            (Field("label", "boolean"),),
            (False, True),
            layout="text",
            probabilities=True,
        ),
    )


def named() -> Trained:
    """Iris, fitted on a frame of numbers."""
    data, target = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(pd.DataFrame(data, columns=IRIS_NAMES), target)
    inputs = tuple(Field(name, "number", example=5.0) for name in IRIS_NAMES)
    return Trained(model, Signature(inputs, (), (0, 1, 2), layout="frame", named=True))


def strict() -> Trained:
    """Return a model that rejects unknown categories."""
    return replace(coded("error"), signature=replace(coded().signature, probabilities=True))


def coded(unknown: str = "ignore") -> Trained:
    """A model that was fitted on an array of strings and numbers."""
    rows = np.array([["a", 1], ["b", 2], ["a", 2], ["b", 1]], object)
    model = make_pipeline(OneHotEncoder(handle_unknown=unknown), LogisticRegression())
    inputs = (
        Field("x0", "string", categories=("a", "b"), example="a"),
        Field("x1", "any", categories=(1, 2), example=1),
    )
    return Trained(model.fit(rows, ["A", "B", "A", "B"]), Signature(inputs, ()))


def forest() -> Trained:
    data, target = load_diabetes(return_X_y=True)
    model = RandomForestRegressor(10, n_jobs=-1, random_state=0).fit(data[:, :3], target)
    inputs = tuple(Field(f"x{index}", "number", example=0.01) for index in range(3))
    return Trained(model, Signature(inputs, (Field("value", "number"),)), "regressor")


def scaler() -> Trained:
    model = StandardScaler().fit([[0.0, 10.0], [2.0, 30.0]])
    inputs = (Field("x0", "number", example=1.0), Field("x1", "number", example=1.0))
    outputs = (Field("scaled", "number", shape=(2,)),)
    return Trained(model, Signature(inputs, outputs), "transformer", "transform")


def printing() -> Trained:
    return Trained(Printing(), Signature((Field("x", "number"),), (Field("value", "number"),)))


def stubborn() -> Trained:
    inputs = (Field("x0", "number", example=1.0),)
    return Trained(Stubborn(), Signature(inputs, (Field("value", "number"),)), "regressor")


def hostile() -> Trained:
    inputs = (Field("x0", "number", example=1.0),)
    return Trained(Hostile(), Signature(inputs, (Field("told", "string"),)), "regressor")


def faulty() -> Trained:
    inputs = (Field("x0", "number", example=GOOD),)
    outputs, classes = (Field("label", "string"),), ("no", "yes")
    return Trained(Faulty(), Signature(inputs, outputs, classes, probabilities=True))


ROOT = Path(__file__).parents[2]


SAMPLES, DATA = ROOT / "sample_models", ROOT / "tests" / "data" / "native"


_KSERVE_ROWS = ([[5.1, 3.5, 1.4, 0.2], [6.8, 2.8, 4.8, 1.4]], [0.0, 1.0])


def _sample_model(folder: str, name: str) -> tuple[Path, list, list]:
    request, response = (
        json.loads((SAMPLES / folder / f"{each}.json").read_text())
        for each in ("request", "response")
    )
    return SAMPLES / folder / name, request["instances"], response["predictions"]


NATIVE_MODELS = {
    "lightgbm": _sample_model("lightgbm-text", "model.txt"),
    "xgboost": _sample_model("xgboost-json", "model.json"),
    "xgboost-ubjson": (DATA / "kserve-xgboost.ubj", *_KSERVE_ROWS),
    "catboost": _sample_model("catboost-cbm", "model.cbm"),
    "onnx": _sample_model("onnx", "model.onnx"),
}


def render_native_bundle(path: Path, folder: Path) -> Path:
    return render(inspect(path), ENVIRONMENT, BASE, folder / "bundle").directory
