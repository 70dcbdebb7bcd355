"""Fitted models of frames with texts, categories and missing values."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from record_models import Case
from sklearn import preprocessing as scaling
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

TRAINED, COUNT = 300, 2000
LETTERS = ("a", "b", "c", "d")


def frame(count: int, seed: int, unknown: tuple[str, ...] = ()) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    letters, words = np.array([*LETTERS, *unknown]), ["red", "cat", "The", "dog"]
    texts = [" ".join(generator.choice(words, generator.integers(0, 5))) for _ in range(count)]
    numbers = generator.normal(size=count)
    numbers[generator.random(count) < 0.1] = np.nan
    columns = {
        "letter": generator.choice(letters, count).astype(object),
        "axis": np.array(["x", "y", np.nan], object)[generator.choice(3, count, p=[0.6, 0.3, 0.1])],
        "number": numbers,
        "count": generator.integers(0, 5, count).astype(float),
        "text": np.array(texts, object),
    }
    return pd.DataFrame({name: pd.Series(each, dtype=each.dtype) for name, each in columns.items()})


def frame_cases() -> Iterator[Case]:
    """Yield models and frames, whose names are those of the inputs."""
    trained, tested = frame(TRAINED, 1), frame(COUNT, 2, ("zz",))
    target = np.random.default_rng(0).integers(0, 2, TRAINED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in models():
            yield Case(model.fit(trained, target), tested)
        letters, rows = trained[["letter", "axis"]], tested[["letter", "axis"]]
        yield Case(ordinal().fit(letters), rows)


def ordinal() -> Any:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2
    )


def encoders() -> list[Any]:
    return [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=70),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="first"),
        ordinal(),
        TargetEncoder(random_state=0),
    ]


def models() -> Iterator[Any]:
    number = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), scaling.StandardScaler()
    )
    letter = ("letter", OneHotEncoder(handle_unknown="ignore"), ["letter"])
    for encoder in encoders():
        branches = [
            ("number", number, ["number"]),
            ("letter", encoder, ["letter", "axis"]),
            ("axis", make_pipeline(SimpleImputer(strategy="most_frequent"), encoder), ["axis"]),
        ]
        for threshold in (0.9, 0.0):
            columns = ColumnTransformer(branches, sparse_threshold=threshold)
            yield make_pipeline(columns, LogisticRegression())
            yield make_pipeline(columns, Ridge())
    texts = [("text", TfidfVectorizer(), "text"), letter, ("number", number, ["number", "count"])]
    yield make_pipeline(ColumnTransformer(texts), LogisticRegression())
    yield make_pipeline(
        ColumnTransformer([("text", CountVectorizer(), "text"), letter]), MultinomialNB()
    )
    bins = scaling.KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")
    counts = [
        ("log", scaling.FunctionTransformer(np.log1p), ["count"]),
        ("bins", bins, ["count"]),
    ]
    yield make_pipeline(ColumnTransformer(counts, transformer_weights={"bins": 2.0}), Ridge())
