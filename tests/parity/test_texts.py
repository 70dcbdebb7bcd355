"""Pipelines of the author's code and a text vectorizer: the form of their rows, and its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

import modelpack
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.types import ModelSpec

TEXTS = ["Red green", "Cash OFFER"] * 3
FRAME = pd.DataFrame({"title": ["Hello World", "Buy NOW"] * 3, "body": TEXTS})
Y = [0, 1] * 3


class Lower(BaseEstimator, TransformerMixin):
    def __init__(self, language: str | None = None) -> None:
        self.language = language

    def fit(self, rows: Any, y: Any = None) -> Lower:
        return self

    def transform(self, rows: Any) -> Any:
        return [text.lower() for text in rows]


class Column(Lower):
    def __init__(self, key: str) -> None:
        self.key = key

    def transform(self, rows: Any) -> Any:
        return rows[self.key]


class Body(Lower):
    def transform(self, rows: Any) -> Any:
        return rows["body"]


def body(rows: Any) -> Any:
    return rows["body"]


def classifier(*steps: Any) -> Any:
    return make_pipeline(*steps, LogisticRegression())


CLEANING = classifier(Lower("en"), Lower(), TfidfVectorizer()).fit(TEXTS, Y)
BY_KEY = classifier(
    make_union(make_pipeline(Column("title"), TfidfVectorizer()), make_pipeline(Column("body"),
               CountVectorizer()))).fit(FRAME, Y)  # fmt: skip
BY_NAME = classifier(Body(), TfidfVectorizer()).fit(FRAME, Y)
BY_FUNCTION = classifier(FunctionTransformer(body), TfidfVectorizer()).fit(FRAME, Y)


def saved(model: Any, folder: Path) -> Path:
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


def prepared(path: Path, rows: pd.DataFrame | None = None) -> ModelSpec:
    """Return the spec with the rows of a CSV file, or with those of the record of the model."""
    example = None
    if rows is not None:
        example = path.with_name("rows.csv")
        rows.to_csv(example, index=False)
    return prepare(inspect(str(path)), ReferenceSources((path,), example))[0]


def names(spec: ModelSpec) -> list[str]:
    return [field.name for field in spec.signature.inputs]


def test_code_of_the_author_before_a_vectorizer_takes_texts(tmp_path: Path) -> None:
    spec = inspect(saved(CLEANING, tmp_path))
    assert (spec.signature.layout, names(spec)) == ("text", ["text"])
    assert spec.signature.inputs[0].example in {"red green cash offer", "green red cash offer"}


def test_a_step_that_names_a_column_takes_no_texts(tmp_path: Path) -> None:
    assert inspect(saved(BY_KEY, tmp_path)).signature.inputs == ()


def test_one_column_of_an_example_contains_the_texts(tmp_path: Path) -> None:
    spec = prepared(saved(CLEANING, tmp_path), FRAME[["body"]])
    assert (spec.signature.layout, names(spec)) == ("text", ["text"])
    assert spec.signature.samples[0] == ("Red green",)


@pytest.mark.parametrize("model", [BY_KEY, BY_NAME, BY_FUNCTION], ids=["key", "name", "function"])
def test_several_columns_of_an_example_are_a_frame(model: Any, tmp_path: Path) -> None:
    spec = prepared(saved(model, tmp_path), FRAME)
    assert (spec.signature.layout, names(spec)) == ("frame", ["title", "body"])


def test_a_vectorizer_alone_never_takes_a_frame(tmp_path: Path) -> None:
    path = saved(classifier(TfidfVectorizer()).fit(TEXTS, Y), tmp_path)
    with pytest.raises(UsageError, match="have 2 values, but the model takes 1"):
        prepared(path, FRAME)


@pytest.mark.parametrize(
    ("model", "rows", "expected"),
    [(CLEANING, TEXTS, "text"), (BY_NAME, FRAME[["body"]], "frame"), (BY_NAME, FRAME, "frame")],
    ids=["texts", "column", "columns"],
)
def test_a_record_decides_the_form(model: Any, rows: Any, expected: str, tmp_path: Path) -> None:
    path = saved(model, tmp_path)
    modelpack.record(model, rows, path)
    assert prepared(path).signature.layout == expected


def test_a_record_of_texts_gives_a_model_without_known_rows_its_form(tmp_path: Path) -> None:
    model = classifier(Lower(), TfidfVectorizer()).fit(TEXTS, Y)
    model.steps[0][1].column = "of another table"
    path = saved(model, tmp_path)
    assert inspect(path).signature.inputs == ()
    modelpack.record(model, TEXTS, path)
    spec = prepared(path)
    assert (spec.signature.layout, names(spec)) == ("text", ["text"])
