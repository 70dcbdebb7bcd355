"""The proof finds what differs between a model and its compiled form."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from modelpack.compilation.compile import compile_file
from modelpack.compilation.proof import BOUND, ULP, compare, make_rows
from modelpack.errors import SmokeFailedError
from modelpack.inspection import inspect
from modelpack.parity import Response
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import Context, compile_model
from modelpack.types import Answers, ModelSpec, Reference

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(300, 4))
LABELS = np.digitize(ROWS @ [1.0, -2.0, 3.0, 0.5], [0, 2])
ROWS_OF_A_PROOF = 1_900
MODELS = {
    "linear": make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0).fit(ROWS, LABELS),
    "scaled": make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(ROWS / 3, LABELS),
}


def answered(rows: Sequence[Any], predict: Callable[[Any], Any], proba: Any) -> Response:
    """Return the response of a model as in the sandbox: errors, and answers to the other rows."""
    values = np.array(rows, dtype=float)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = [_error(predict, row) for row in values]
        good = values[[error is None for error in errors]]
        answers = Answers(tuple(predict(good).tolist()), tuple(proba(good).tolist()))
    return Response(tuple(errors), answers, answers)


def _error(predict: Callable[[Any], Any], row: np.ndarray) -> str | None:
    try:
        predict(row.reshape(1, -1))
    except (ValueError, FallbackRequiredError) as error:
        return type(error).__name__
    return None


def compiled(name: str, folder: Path) -> tuple[ModelSpec, Path]:
    (folder / "model.pkl").write_bytes(pickle.dumps(MODELS[name]))
    spec = inspect(folder / "model.pkl")
    compile_file(spec, folder / "model.compiled")
    return spec, folder / "model.compiled"


def plan(path: Path, change: Callable[[Any], None]) -> Any:
    """Return the methods of a compiled model that was changed."""
    with path.open("rb") as stream:
        model = read(stream)
    change(model.root)
    return compile_model(model.root, Context("array", list("abcd"), model.release)).batch


def one_bit_of_a_coefficient(model: Any) -> None:
    classifier = model.steps[1][1]
    coefficients = np.array(classifier.coef_)
    coefficients.view(np.uint64)[1, 2] ^= 1 << 20  # of the 52 bits behind the point
    classifier.coef_ = coefficients


def swapped_children(model: Any) -> None:
    nodes = np.array(model.tree_.nodes)
    nodes["left_child"][0], nodes["right_child"][0] = (
        nodes["right_child"][0],
        nodes["left_child"][0],
    )
    model.tree_.nodes = nodes


def next_threshold(model: Any) -> None:
    nodes = np.array(model.tree_.nodes)
    nodes["threshold"][0] = np.nextafter(np.float32(nodes["threshold"][0]), np.float32(np.inf))
    model.tree_.nodes = nodes


def nothing(_: Any) -> None: ...


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("linear", nothing),
        ("linear", one_bit_of_a_coefficient),
        ("tree", nothing),
        ("tree", swapped_children),
        ("tree", next_threshold),
    ],
)
def test_planted_fault_is_found(name: str, change: Callable[[Any], None], tmp_path: Path) -> None:
    spec, path = compiled(name, tmp_path)
    rows = make_rows(spec, Reference(tuple(map(tuple, ROWS[:8].tolist()))), path)
    methods = plan(path, change)
    expected = answered(rows, MODELS[name].predict, MODELS[name].predict_proba)
    actual = answered(rows, methods["predict"], methods["predict_proba"])
    if change is nothing:
        result = compare(rows, expected, actual)
        assert (result.rows + result.refused, result.largest_ulp) == (len(rows), 0.0)
        assert result.rows > ROWS_OF_A_PROOF
    else:
        with pytest.raises(SmokeFailedError, match="not equal to the model"):
            compare(rows, expected, actual)


def test_numbers_that_exceed_32_bits_after_a_scaler_are_refused_by_both(tmp_path: Path) -> None:
    model = MODELS["scaled"]
    spec, path = compiled("scaled", tmp_path)
    rows = make_rows(spec, Reference(tuple(map(tuple, (ROWS[:8] / 3).tolist()))), path)
    values, largest = np.array(rows, dtype=float), float(np.finfo(np.float32).max)
    with np.errstate(all="ignore"):
        exceed = np.nanmax(np.abs(model[0].transform(values)), axis=1) > largest
    assert 3.4e38 in values[exceed], "a number that fits before the scaler, and not behind it"
    methods = plan(path, nothing)
    result = compare(
        rows,
        answered(rows, model.predict, model.predict_proba),
        answered(rows, methods["predict"], methods["predict_proba"]),
    )
    assert (result.refused, result.largest_ulp) == (exceed.sum(), 0.0)


def test_rows_are_thousands_and_around_every_threshold(tmp_path: Path) -> None:
    spec, path = compiled("tree", tmp_path)
    rows = make_rows(spec, Reference(tuple(map(tuple, ROWS[:8].tolist()))), path)
    assert len(rows) > ROWS_OF_A_PROOF
    nodes = MODELS["tree"].tree_
    for feature, threshold in zip(nodes.feature, nodes.threshold, strict=True):
        if feature >= 0:
            above = float(np.nextafter(np.float32(threshold), np.float32(np.inf)))
            assert {threshold, above} <= {row[feature] for row in rows}
    assert make_rows(spec, Reference(tuple(map(tuple, ROWS[:8].tolist()))), path) == rows


def test_rows_have_unknown_categories_that_are_numbers(tmp_path: Path) -> None:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model.fit([[3], [7], [3]], [0, 1, 0])))
    spec = inspect(tmp_path / "model.pkl")
    compile_file(spec, tmp_path / "model.compiled")
    rows = make_rows(spec, Reference(((3,),)), tmp_path / "model.compiled")
    assert {row[0] for row in rows} == {3, 7, 8}


WORDS = ["a good one", "a bad one"] * 3
COLUMN = pd.DataFrame({"text": WORDS, "number": range(6)})
TEXT_MODELS = {
    "vocabulary": make_pipeline(
        ColumnTransformer([("t", CountVectorizer(), "text")], remainder="passthrough"),
        LogisticRegression(),
    ).fit(COLUMN, [0, 1] * 3),
    "hashes": make_pipeline(HashingVectorizer(n_features=32), LogisticRegression()).fit(
        WORDS, [0, 1] * 3
    ),
}


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_texts_have_words_of_the_vocabulary_and_of_other_scripts(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(TEXT_MODELS[name]))
    spec = inspect(tmp_path / "model.pkl")
    compile_file(spec, tmp_path / "model.compiled")
    known: Any = ("one", 1.0)[: len(spec.signature.inputs)]
    rows = make_rows(spec, Reference((known,)), tmp_path / "model.compiled")
    words = {word for row in rows for word in str(row[0]).split()}
    assert {"one", "never", "日本語", "İzmir", "STRASSE"} <= words
    assert ({"good", "bad"} <= words) == (name == "vocabulary")
    assert len(rows) > ROWS_OF_A_PROOF // 3


ONE = ((1.0,), (2.0,))


def response(errors: Sequence[str | None], predictions: Sequence[Any]) -> Response:
    answers = Answers(tuple(predictions))
    return Response(tuple(errors), answers, answers)


@pytest.mark.parametrize(
    ("expected", "actual", "reason"),
    [
        (response([None, None], [1, 2]), response([None, None], [1, 3]), "3 instead of 2"),
        (response([None, None], [1, 2]), response([None, None], [1, 2.0]), "2.0 instead of 2"),
        (response([None, None], ["a", "b"]), response([None, None], ["a", "c"]), "'c' instead"),
        (response([None, "no"], [1]), response([None, None], [1, 2]), "accepts a row"),
        (response([None, None], [1, 2]), response([None, "no"], [1]), "refuses a row"),
        (
            response([None, None], [1.0, 2.0]),
            response([None, None], [1.0, 2.0 * (1 + 2 * BOUND * ULP)]),
            "ulp away",
        ),
        (
            response([None, None], [1.0, 2.0]),
            response([None, None], [1.0 + 3 * BOUND * ULP, 2.5]),
            "2.5 instead of 2.0",
        ),
        (response([None, None], [1.0, 2.0]), response([None, None], [1.5, math.nan]), "nan"),
    ],
)
def test_largest_difference_is_reported_with_its_row(
    expected: Response, actual: Response, reason: str
) -> None:
    with pytest.raises(SmokeFailedError, match=reason) as caught:
        compare(ONE, expected, actual)
    assert "The row is [2.0]" in caught.value.message


def test_answers_to_simultaneous_requests_are_compared() -> None:
    one = response([None, None], [1, 2])
    other = replace(one, batched=Answers((1, 3)))
    with pytest.raises(SmokeFailedError, match="3 instead of 2"):
        compare(ONE, one, other)


def test_probabilities_of_only_one_of_them_are_a_difference() -> None:
    one = response([None, None], [1, 2])
    other = replace(one, alone=Answers((1, 2), ({"a": 1.0}, {"a": 1.0})))
    for pair in ((one, other), (other, one)):
        with pytest.raises(SmokeFailedError, match="only one of them returns probabilities"):
            compare(ONE, *pair)


def test_last_bits_may_differ_within_the_bound() -> None:
    result = compare(
        ONE,
        response([None, None], [1.0, 2.0]),
        response([None, None], [1.0 + 2 * ULP, 2.0]),
    )
    assert (result.rows, result.largest_ulp, result.bound_ulp) == (2, pytest.approx(2.0), BOUND)
