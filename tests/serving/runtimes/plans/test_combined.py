"""Plans of pipelines of estimators."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plan_checks import compare, compile_plan
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.plans import UnplannedError

LAST = [
    LogisticRegression(),
    LinearSVC(),
    BernoulliNB(),
    MultinomialNB(),
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(5, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5),
    AdaBoostClassifier(n_estimators=5, random_state=0),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    SVC(),
]
TEXTS = [
    f"{how} {color} the {animal}"
    for how in ("one", "two", "never")
    for color in ("red", "blue", "red red")
    for animal in ("cat", "dog", "cat and dog")
] * 4


def table() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "size": generator.normal(size=200),
            "weight": generator.normal(size=200) * 30,
            "kind": generator.choice(["a", "b", "c", "d", "e", "f"], 200),
        }
    )


def columns(frame: pd.DataFrame) -> list[np.ndarray]:
    return [frame[name].to_numpy(object if name == "kind" else None) for name in frame]


def hold(model, block, rows, layout, names) -> set[str]:
    """The methods that the plan of `model` answers, as the estimator does."""
    try:
        plan = compile_plan(model, names, layout)
    except UnplannedError:
        return set()
    planned_methods = set()
    for method in plan.batch:
        if not hasattr(model, method):
            continue
        try:
            got = plan.batch[method](block)
        except FallbackRequiredError:
            continue
        compare(got, getattr(model, method)(rows), method)
        planned_methods.add(method)
    return planned_methods


@pytest.mark.parametrize("last", LAST, ids=lambda model: type(model).__name__)
def test_texts_before(last):
    labels = [text.count("red") for text in TEXTS]
    model = make_pipeline(TfidfVectorizer(), last)
    try:
        model.fit(TEXTS, labels)
    except TypeError:  # it takes no sparse rows
        assert isinstance(last, HistGradientBoostingClassifier)
        return
    planned_methods = hold(model, TEXTS, TEXTS, "text", ["text"])
    assert ("predict" in planned_methods) == (not isinstance(last, SVC))


@pytest.mark.parametrize("last", LAST, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("sparse", [False, True])
def test_columns_before(last, sparse):
    frame = table()
    encoder = OneHotEncoder(handle_unknown="ignore")
    first = make_column_transformer(
        (StandardScaler() if not isinstance(last, MultinomialNB) else "drop", ["size", "weight"]),
        (encoder, ["kind"]),
        sparse_threshold=float(sparse),
    )
    model = make_pipeline(first, last)
    try:
        model.fit(frame, (frame["weight"] > 0) & (frame["kind"] < "d"))
    except TypeError:
        assert sparse
        return
    planned_methods = hold(model, columns(frame), frame, "frame", list(frame))
    assert "predict" in planned_methods or (
        sparse and isinstance(last, (SVC, CalibratedClassifierCV))
    )


def test_a_search_of_a_model_of_columns():
    frame = table()
    first = make_column_transformer(
        (StandardScaler(), ["size", "weight"]), (OneHotEncoder(), ["kind"])
    )
    search = GridSearchCV(
        make_pipeline(first, LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2
    ).fit(frame, frame["weight"] > frame["size"])
    planned_methods = hold(search, columns(frame), frame, "frame", list(frame))
    assert {"predict", "predict_proba", "decision_function"} <= planned_methods
