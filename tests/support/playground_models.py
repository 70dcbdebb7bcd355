"""Models for the playground: one for each kind of form, and one with hostile names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import serving_models
from serving_models import BASE, ENVIRONMENT, IRIS_NAMES, Trained, build_spec, render_bundle
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from modelpack.bundle.render import render
from modelpack.types import Estimator, Field, Signature, Tensor

HOSTILE = (
    "<img src=x onerror=window.owned=1>",
    "</script><script>window.owned=1</script>",
    "'; touch owned; '",
    '"); window.owned=1; ("',
    "$(touch owned) `touch owned` \\",
    "\u202egnp.exe\u202c \u2028 \u2029",
    "__proto__",
    "line\nbreak\ttab \x1b[31m",
    "café \U0001f600 שלום",
    "{{7*7}} ${7*7} %s",
)


TITLE = "When will this guest arrive? <b>"
DESCRIPTION = "\n".join(
    f"{number}. A sentence for those who decide on rooms." for number in range(9)
)


def flowers() -> Trained:
    """Iris, with names and bounds."""
    data, target = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[target]
    inputs = tuple(
        Field(name, "number", minimum=low, maximum=high, example=example)
        for name, low, high, example in zip(
            IRIS_NAMES, data.min(axis=0), data.max(axis=0), (5.8, 3.1, 3.8, 1.2), strict=True
        )
    )
    classes = ("setosa", "versicolor", "virginica")
    return Trained(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(data, names),
        Signature(inputs, (), classes, named=True, probabilities=True),
    )


def visitors() -> Trained:
    """Return `serving_models.mixed` with the categories of the training data."""
    trained = serving_models.mixed()
    age, city, visits, member = trained.signature.inputs
    fields = (age, replace(city, categories=("Oslo", "Rome")), visits, member)
    return replace(trained, signature=replace(trained.signature, inputs=fields))


def guests() -> Trained:
    """Return a model with every type of column, with real rows and ranges."""
    count = 40
    frame = pd.DataFrame(
        {
            "age": np.arange(count) + 18.0,
            "stays": np.arange(count) % 9,
            "year": pd.Categorical(np.arange(count) % 3 + 2020, [2022, 2020, 2021]),
            "member": np.arange(count) % 2 == 0,
            "vip": pd.array([True, False, None, True] * (count // 4), "boolean"),
            "arrival": pd.date_range("2024-01-01T08:30", periods=count, freq="D"),
            "booked": pd.date_range("2023-06-01", periods=count, freq="D", tz="UTC"),
        }
    )
    encoder = ColumnTransformer(
        [("n", "passthrough", ["age", "stays", "member"]), ("y", OneHotEncoder(), ["year"])]
    )
    labels = np.where(np.arange(count) % 3 == 1, "early", "late")
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000)).fit(frame, labels)
    row = (18.0, 0, 2020, True, True, "2024-01-01T08:30:00", "2023-06-01T00:00:00+00:00")
    other = (40.0, 4, 2021, False, None, "2024-02-02T08:30:00", "2023-06-23T00:00:00+00:00")
    stays = tuple(map(float, frame["stays"].quantile([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])))
    ages = tuple(map(float, frame["age"].quantile([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])))
    fields = (
        Field("age", "number", (), None, False, 18.0, 57.0, row[0], "float64", ages),
        Field("stays", "integer", (), None, False, 0.0, 8.0, row[1], "int64", stays),
        Field("year", "integer", (), (2022, 2020, 2021), False, None, None, row[2], "category"),
        Field("member", "boolean", example=True, dtype="bool"),
        Field("vip", "boolean", nullable=True, example=True, dtype="boolean"),
        Field("arrival", "datetime", example=row[5], dtype="datetime64[ns]"),
        Field("booked", "datetime", example=row[6], dtype="datetime64[ns, UTC]"),
    )
    signature = Signature(
        fields, (), ("early", "late"), "frame", True, probabilities=True, samples=(row, other),
        sample_names=("A young member", ""),
    )  # fmt: skip
    return Trained(model, signature, title=TITLE, description=DESCRIPTION)


def probable() -> Trained:
    """Return a classifier of iris whose inputs have no exact contributions."""
    trained = flowers()
    names = np.array(trained.signature.classes)[load_iris().target]
    return replace(trained, model=GaussianNB().fit(load_iris().data, names))


def nearby() -> Trained:
    """Return a regressor whose inputs have no exact contributions."""
    trained = serving_models.forest()
    data, target = load_diabetes(return_X_y=True)
    return replace(trained, model=KNeighborsRegressor(3).fit(data[:, :3], target))


def pair() -> Trained:
    """Return a regressor of two named outputs."""
    trained = serving_models.forest()
    data, target = load_diabetes(return_X_y=True)
    model = Ridge().fit(data[:, :3], np.column_stack([target, 1000 - target]))
    fields = (Field("progression", "number"), Field("<b>rest</b>", "number"))
    return replace(trained, model=model, signature=replace(trained.signature, outputs=fields))


def pictures() -> Trained:
    """Return a model whose rows are recorded as tensors of 2 x 2 values."""
    trained = serving_models.iris()
    return replace(trained, signature=replace(trained.signature, tensors=(Tensor("p", (2, 2)),)))


def measured() -> Trained:
    """Return a model whose rows are recorded as two tensors of two values each."""
    trained = probable()
    tensors = (Tensor("a", (2,)), Tensor("b", (2,)))
    return replace(trained, signature=replace(trained.signature, tensors=tensors))


def letters() -> Trained:
    """Return a classifier of texts whose columns are sequences of characters."""
    trained = serving_models.texts()
    model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)), trained.model[1])
    texts = ["good fun", "great fun", "bad bore", "sad bore"]
    return replace(trained, model=model.fit(texts, [True, True, False, False]))


def sentences() -> Trained:
    """Return a classifier of texts whose words are hostile texts."""
    trained = serving_models.texts()
    vectorizer = CountVectorizer(token_pattern="(?s).+", lowercase=False)
    labels = [index % 2 == 0 for index in range(len(HOSTILE))]
    return replace(trained, model=make_pipeline(vectorizer, trained.model[1]).fit(HOSTILE, labels))


def clusters() -> Trained:
    """Numbers that are names: clusters of iris."""
    trained = flowers()
    model = KMeans(3, n_init=1, random_state=0).fit(load_iris().data)
    signature = replace(trained.signature, classes=None, probabilities=False)
    return Trained(model, signature, "clusterer")


def unnamed() -> Trained:
    trained = serving_models.iris()
    return replace(trained, signature=replace(trained.signature, inputs=()))


def bare() -> Trained:
    """Return a model without an example."""
    trained = serving_models.forest()
    fields = tuple(replace(field, example=None) for field in trained.signature.inputs)
    return replace(trained, signature=replace(trained.signature, inputs=fields))


def wide() -> Trained:
    """2,000 inputs; the answer is twice the last one."""
    rows = np.random.default_rng(0).normal(size=(50, 2000))
    model = Ridge().fit(rows, rows[:, 0])
    model.coef_ = np.zeros(2000)
    model.coef_[-1], model.intercept_ = 2.0, 0.0
    fields = tuple(Field(f"reading {index}", "number", example=1.5) for index in range(2000))
    return Trained(model, Signature(fields, (), named=True), "regressor")


def several() -> Trained:
    """Two labels a row, each with its probabilities; so many classes that not all are shown."""
    data, target = load_iris(return_X_y=True)
    labels = np.column_stack([np.arange(150) % 20, target])
    model = RandomForestClassifier(5, random_state=0).fit(data, labels)
    fields = tuple(Field(name, "number", example=5.0) for name in IRIS_NAMES)
    return Trained(model, Signature(fields, (), named=True, probabilities=True))


def echo() -> Trained:
    """Return a model that predicts its input; its names and its example are hostile."""
    fields = tuple(Field(text, "string", example=text) for text in HOSTILE)
    rows = np.array([HOSTILE], object)
    model = FunctionTransformer().fit(rows)
    return Trained(model, Signature(fields, (), named=True), "transformer", "transform")


def hostile() -> Trained:
    """Hostile categories and labels."""
    frame = pd.DataFrame({HOSTILE[0]: HOSTILE}).astype(object)
    encoder = ColumnTransformer([("c", OneHotEncoder(), [HOSTILE[0]])])
    model = make_pipeline(encoder, LogisticRegression(C=1000)).fit(frame, list(HOSTILE))
    fields = (Field(HOSTILE[0], "string", categories=HOSTILE, example=HOSTILE[1]),)
    classes = tuple(sorted(HOSTILE))
    signature = Signature(fields, (), classes, layout="frame", named=True, probabilities=True)
    return Trained(model, signature)


def bundle_folder(name: str, folder: Path) -> Path:
    """Render the bundle of a model of this file or of serving_models."""
    make = globals().get(name) or getattr(serving_models, name)
    if name != "hostile":
        return render_bundle(make(), folder).directory
    path = folder / "saved"
    joblib.dump(make().model, path)
    text = " ".join(HOSTILE)
    spec = replace(
        build_spec(path, make()),
        estimator=text,
        framework=text,
        framework_version=text,
        steps=(Estimator("a", text), Estimator("b", text)),
        versions={text: text},
    )
    environment = replace(ENVIRONMENT, requirements={text: "1"}, warnings=HOSTILE)
    return render(spec, environment, BASE, folder / "bundle").directory
