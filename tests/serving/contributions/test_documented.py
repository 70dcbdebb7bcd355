"""The methods of docs/service-contributions.md are those of fitted estimators."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import explained
import numpy as np
import pytest
from explained import AMOUNT, LEVEL, MIXED, NUMBERS, YES, build_service
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from modelpack.serving.contributions import UnavailableError

PAGE = Path(__file__).parents[3] / "docs/service-contributions.md"
TREES = [("a", DecisionTreeClassifier(max_depth=3)), ("b", DecisionTreeClassifier(max_depth=2))]
INNER = {
    "CalibratedClassifierCV": {"estimator": LogisticRegression(), "ensemble": False},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "VotingClassifier": {"estimators": TREES, "voting": "soft"},
    "VotingRegressor": {"estimators": [("a", Ridge()), ("b", DecisionTreeRegressor())]},
    "CCA": {"n_components": 1},
    "PLSCanonical": {"n_components": 1},
    "OrthogonalMatchingPursuitCV": {"max_iter": 2},
    "StackingClassifier": {"estimators": TREES},
    "StackingRegressor": {"estimators": [("a", Ridge())]},
}
SEVERAL = {"ClassifierChain", "MultiOutputClassifier", "MultiOutputRegressor", "RegressorChain"}
FAST = {"max_iter": 30, "n_estimators": 5, "random_state": 0, "cv": 2}
TWO_CLASSES = {
    "CalibratedClassifierCV", "FixedThresholdClassifier", "TunedThresholdClassifierCV",
    "SelfTrainingClassifier",
}  # fmt: skip


def rows_of_the_page() -> dict[str, tuple[str, set[str]]]:
    """Return the method and the outputs of each estimator in the table."""
    text = PAGE.read_text().partition("## Estimators")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| `")]
    entries = [
        (name, cells[1].strip(), set(re.findall(r"\w+", cells[2] if len(cells) > 2 else "")))
        for cells in lines
        for name in re.findall(r"`(\w+)`", cells[0])
    ]
    assert len({name for name, *_ in entries}) == len(entries)
    return {name: (method, outputs) for name, method, outputs in entries}


DOCUMENTED = rows_of_the_page()
KNOWN = {name: kind for kind in ("classifier", "regressor") for name, _ in all_estimators(kind)}


@pytest.fixture(autouse=True)
def no_advice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def build(name: str, kind: str) -> Any:
    cls = dict(all_estimators(kind))[name]
    settings = dict(INNER.get(name, {}))
    required = getattr(cls, "_required_parameters", ()) or ()
    code = cls.__init__.__code__
    first = code.co_varnames[1 : code.co_argcount - len(cls.__init__.__defaults__ or ())]
    for parameter in {*required, *first} & {"estimator"} - settings.keys():
        settings[parameter] = LogisticRegression() if kind == "classifier" else Ridge()
    model = cls(**settings)
    known = model.get_params(deep=False)
    return model.set_params(**{key: each for key, each in FAST.items()
                               if key in known and key not in settings})  # fmt: skip


def methods(model: Any, frame: Any, layout: str, target: Any) -> set[tuple[str, str]]:
    """Return the methods and outputs of some rows."""
    values = frame if layout == "frame" else frame.to_numpy()
    service = build_service(model.fit(values, target), frame, layout)
    try:
        return {(each.method, each.output) for each in explained.explained(service, frame)}
    except UnavailableError:
        return {("none", "")}


def test_every_estimator_is_in_the_table():
    assert set(DOCUMENTED) == set(KNOWN)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_method_of_an_estimator(name):
    kind = KNOWN[name]
    targets = {"regressor": [AMOUNT], "classifier": [YES, LEVEL]}[kind]
    if name in SEVERAL or name.startswith("MultiTask"):
        single = YES == "yes" if kind == "classifier" else AMOUNT
        targets = [np.column_stack([single, AMOUNT > 1]).astype(float)]
    elif name in TWO_CLASSES:
        targets = targets[:1]
    if name == "SelfTrainingClassifier":
        targets = [(YES == "yes").astype(int)]
    numbers = NUMBERS.abs().round() if name == "CategoricalNB" else NUMBERS.abs()
    if name == "IsotonicRegression":
        numbers = numbers[["a"]]
    measured = set()
    for target in targets:
        measured |= methods(build(name, kind), numbers, "array", target)
    if name not in ("CategoricalNB", "IsotonicRegression", "QuadraticDiscriminantAnalysis"):
        first = make_column_transformer(
            (OneHotEncoder(sparse_output=False, drop="first"), ["city", "plan"]),
            (MinMaxScaler(), ["age", "visits"]),
        )
        model = make_pipeline(first, build(name, kind))
        measured |= methods(model, MIXED, "frame", targets[0])
    method, outputs = DOCUMENTED[name]
    if method in ("none", "coefficients", "tree_paths"):
        assert {each for each, _ in measured} == {method}
    else:
        assert "none" not in {each for each, _ in measured}
    if not outputs & {"that", "those", ""}:
        assert {output for _, output in measured} == (outputs or {""})
