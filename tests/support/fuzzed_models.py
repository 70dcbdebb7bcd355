"""Unusual models to fuzz: unknown inputs, several outputs, hostile names, 1,200 columns, dicts."""

from __future__ import annotations

import numpy as np
import serving_models
from serving_models import Trained
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from modelpack.types import Field, Signature

HOSTILE = (
    "instances",
    "$ref",
    "a/b~c",
    "",
    "</script><script>alert(1)</script>",
    '"; rm -rf \\',
    "\u202egnp.\N{PILE OF POO}",
    "__proto__",
)
WIDE = 1200


def _numbers(width: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, width))


def unknown() -> Trained:
    """Return a model whose file does not contain its inputs."""
    rows = _numbers(3)
    return Trained(GaussianNB().fit(rows, rows[:, 0] > 0), Signature((), (), (False, True)))


def several() -> Trained:
    """Return a model of two outputs with different classes."""
    rows = _numbers(2)
    targets = np.column_stack([rows[:, 0] > 0, rows[:, 1] > 0]).astype(int)
    inputs = tuple(Field(f"x{index}", "number", example=0.5) for index in range(2))
    outputs = (Field("first", "integer"), Field("second", "integer"))
    model = MultiOutputClassifier(LogisticRegression()).fit(rows, targets)
    return Trained(model, Signature(inputs, outputs, None, probabilities=True))


def hostile() -> Trained:
    rows = _numbers(len(HOSTILE))
    inputs = tuple(Field(name, "number", example=0.5) for name in HOSTILE)
    labels = np.array(["<b>", "a'\"\\"])[(rows[:, 0] > 0).astype(int)]
    model = LogisticRegression().fit(rows, labels)
    classes = tuple(model.classes_.tolist())
    return Trained(model, Signature(inputs, (), classes, named=True, probabilities=True))


def wide() -> Trained:
    rows = _numbers(WIDE)
    inputs = tuple(Field(f"measured value {index}", "number", example=0.5) for index in range(WIDE))
    model = LinearRegression().fit(rows, rows[:, 0])
    return Trained(model, Signature(inputs, (), named=True), "regressor")


def dicts() -> Trained:
    model = make_pipeline(DictVectorizer(), LogisticRegression())
    model.fit([{"city": "Oslo", "age": 3}, {"city": "Rome", "age": 5}], ["cold", "warm"])
    inputs = (
        Field("age", "number", nullable=True, example=4.0),
        Field("city", "string", nullable=True, categories=("Oslo", "Rome"), example="Oslo"),
    )
    signature = Signature(inputs, (), ("cold", "warm"), layout="dicts", named=True)
    return Trained(model, signature)


MODELS = {
    make.__name__: make
    for make in (
        serving_models.iris,
        serving_models.mixed,
        serving_models.texts,
        serving_models.forest,
        serving_models.scaler,
        serving_models.coded,
        serving_models.strict,
        unknown,
        several,
        hostile,
        wide,
        dicts,
    )
}
