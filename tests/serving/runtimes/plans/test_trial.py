"""The trial of plans: a right one passes it, one with any fault does not."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plan_records import to_record
from plan_trials import manifest, replace_functions, try_plan
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.manifest import Field
from modelpack.serving.runtimes import trials
from modelpack.serving.runtimes.estimator import CompiledModel
from modelpack.serving.runtimes.plans import Plan, UnplannedError, compile_model, runtime
from modelpack.serving.runtimes.plans.runtime import PlannedRuntime

TABLE = [
    Field("age", "number", nullable=True, example=41.0),
    Field("visits", "integer", example=3),
    Field("city", "string", nullable=True, example="Oslo", categories=("Bonn", "Oslo", "Rome")),
    Field("job", "string", example="cook"),
]


@pytest.fixture
def numeric():
    rows, classes = make_classification(200, 6, random_state=0)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes)


@pytest.fixture
def mixed():
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": generator.normal(40, 9, 300),
            "visits": generator.integers(0, 9, 300),
            "city": generator.choice(["Bonn", "Oslo", "Rome"], 300).astype(object),
            "job": generator.choice(["cook", "smith"], 300).astype(object),
        }
    )
    table.loc[generator.random(300) < 0.2, ["age", "city"]] = np.nan
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    columns = ColumnTransformer(
        [("n", numbers, ["age", "visits"]), ("w", words, ["city", "job"])], sparse_threshold=0
    )
    return make_pipeline(columns, LogisticRegression()).fit(table, table["visits"] > 4)


def test_right_plans_pass(numeric, mixed):
    assert isinstance(try_plan(numeric), PlannedRuntime)
    assert isinstance(try_plan(mixed, "frame", TABLE), PlannedRuntime)


def planted(monkeypatch, change) -> None:
    """Let plans be made of models that `change` has altered."""

    def compiled(model: Any, *more: Any) -> Plan:
        other = copy.deepcopy(model)
        change(other)
        return compile_model(other, *more)

    monkeypatch.setattr(runtime, "compile_model", compiled)


def coefficient(model):
    model[-1].coef_[0, 1] = np.nextafter(model[-1].coef_[0, 1], np.inf)


def intercept(model):
    model[-1].intercept_ += 1e-9


def labels(model):
    model[-1].classes_ = model[-1].classes_[::-1]


@pytest.mark.parametrize("change", [coefficient, intercept, labels])
def test_a_plan_of_wrong_numbers_is_refused(change, numeric, monkeypatch):
    planted(monkeypatch, change)
    with pytest.raises(UnplannedError, match="differs from the estimator's"):
        try_plan(numeric)


def median(model):
    model[0].named_transformers_["n"][0].statistics_[0] = 40.0


def frequent(model):
    model[0].named_transformers_["w"][0].statistics_[0] = "Bonn"
    model[0].named_transformers_["w"][0].statistics_[1] = "smith"


def order(model):
    categories = model[0].named_transformers_["w"][1].categories_
    categories[0] = categories[0][::-1]


@pytest.mark.parametrize("change", [median, frequent, order])
def test_a_plan_of_wrong_values_is_refused(change, mixed, monkeypatch):
    """The trial contains missing values and categories, too."""
    planted(monkeypatch, change)
    with pytest.raises(UnplannedError, match="differs from the estimator's"):
        try_plan(mixed, "frame", TABLE)


def test_a_wrong_treatment_of_unknown_categories_is_refused(mixed, monkeypatch):
    def unknown(model):
        encoder = model[0].named_transformers_["w"][1]
        encoder.handle_unknown = "infrequent_if_exist"
        encoder._infrequent_indices = [None, np.array([1])]

    planted(monkeypatch, unknown)
    with pytest.raises(UnplannedError, match="differs from the estimator's"):
        try_plan(mixed, "frame", TABLE)


def test_a_plan_that_answers_what_the_estimator_refuses_is_refused(mixed, monkeypatch):
    mixed[0].named_transformers_["w"][1].handle_unknown = "error"

    def lenient(model):
        model[0].named_transformers_["w"][1].handle_unknown = "ignore"

    planted(monkeypatch, lenient)
    with pytest.raises(UnplannedError, match="predicts rows that the estimator rejects"):
        try_plan(mixed, "frame", TABLE)


def test_rows_that_the_estimator_refuses_do_not_speak_against_a_plan_that_doubts_them(mixed):
    mixed[0].named_transformers_["w"][1].handle_unknown = "error"
    assert isinstance(try_plan(mixed, "frame", TABLE), PlannedRuntime)


def doubt(_block):
    raise FallbackRequiredError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda batch, row_by_row: row_by_row.update(predict=lambda b: -batch["predict"](b)),
            "single",
        ),
        (lambda batch, row_by_row: batch.update(predict=lambda b: 1 / 0), "fails: ZeroDivision"),
        (lambda batch, row_by_row: batch.update(predict=doubt), "covers no row"),
        (lambda batch, row_by_row: row_by_row.update(predict=doubt), "covers rows only in a batch"),
        (
            lambda batch, row_by_row: batch.update(
                predict=lambda b, predict=batch["predict"]: predict(b).astype(float)
            ),
            "differs",
        ),
    ],
)
def test_faults_of_the_code_of_a_plan(change, message, numeric, monkeypatch):
    replace_functions(monkeypatch, change)
    with pytest.raises(UnplannedError, match=message):
        try_plan(numeric)


def test_texts_are_of_the_vocabulary(monkeypatch):
    texts = ["red green blue", "green tea", "blue sea red", "tea at sea"] * 5
    model = TfidfVectorizer().fit(texts)
    facts = manifest("text", [Field("text", "string")])  # no example is known
    terms = trials.vocabulary_terms(model)
    assert terms == sorted(model.vocabulary_)
    compiled = CompiledModel(to_record(make_pipeline(model, MinMaxScaler())), (1, 9))
    assert trials.vocabulary_terms(compiled) == terms
    groups = trials.sample_groups(facts, terms)
    assert set(" ".join(text for [text] in groups[1]).split()) == set(terms)
    assert isinstance(try_plan(model, "text", [Field("text", "string")]), PlannedRuntime)

    def weight(vectorizer):
        vectorizer._tfidf.idf_ = np.nextafter(vectorizer._tfidf.idf_, 9)

    planted(monkeypatch, weight)
    with pytest.raises(UnplannedError, match="differs"):
        try_plan(model, "text", [Field("text", "string")])


def test_trial_without_known_inputs(numeric):
    with pytest.raises(UnplannedError, match="no example row is known"):
        try_plan(numeric, "array", [Field(f"x{index}", "number") for index in range(6)])


def test_warnings_of_the_estimator_on_strange_rows_are_not_shown(recwarn):
    rows, classes = make_classification(200, 6, random_state=0)
    model = make_pipeline(MinMaxScaler(), LogisticRegression()).fit(rows, classes)
    try_plan(model)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ([0.0, 1.0], [0.0, 1.0], True),
        ([0.0], [-0.0], False),
        ([np.nan], [np.nan], True),
        ([1.0], [np.nan], False),
        ([1.0], [np.nextafter(1.0, 2)], False),
        ([1.0], [1], False),
        ([1.0], [[1.0]], False),
        (["a"], ["a"], True),
        (["a"], ["b"], False),
    ],
)
def test_same(one, other, alike):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert runtime.is_same(np.array(one), np.array(other)) is alike


def test_same_of_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    one = sparse.csr_matrix([[0.0, 2.0, 3.0]])
    assert runtime.is_same(one, one.copy())
    assert not runtime.is_same(one, one * 2)
    assert not runtime.is_same(one, one.toarray())
    turned = sparse.csr_matrix((one.data[::-1], one.indices[::-1], one.indptr), one.shape)
    assert not runtime.is_same(one, turned), "the order tells how sums come out"
