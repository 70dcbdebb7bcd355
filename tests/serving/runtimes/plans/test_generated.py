"""Plans of generated settings: equal bits, or the estimator predicts. `make settings` does more."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest

from modelpack.serving.runtimes.plans import encoding, linear, scaling, text

SCRIPTS = Path(__file__).parents[4] / "scripts"
SEED, COUNT = 0, 3


@pytest.fixture
def generated(monkeypatch):
    """The figures of the generator for some classes."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    run = importlib.import_module("settings.inside.run")

    def figures(names=(), seed=SEED, count=COUNT):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return run.run(seed, count, names)

    return figures


@pytest.mark.slow
def test_plans_of_all_classes_give_the_bits_of_their_estimators(generated):
    found = generated()
    assert found["differences"] == []
    assert found["unplanned_classes"] == []
    assert found["planned"] > 0.9 * found["models"] > 250
    assert found["same"] > 200_000
    assert found["refused"] > 2_000, "the estimators refuse infinities and more"


def wrapped(module, name, change, monkeypatch):
    """Let a function of a module of plans return something else."""
    right = getattr(module, name)
    monkeypatch.setattr(
        module, name, lambda *arguments, **named: change(right(*arguments, **named))
    )


FAULTS = {
    "codes that do not wrap around": (
        ["OrdinalEncoder"],
        lambda patch: (
            patch.setattr(encoding, "_require_wide", lambda *arguments: None),
            patch.setattr(
                encoding, "encode_columns", encoding_without_dtype(encoding.encode_columns)
            ),
        ),
    ),
    "counts that do not wrap around": (
        ["CountVectorizer"],
        lambda patch: (
            patch.setattr(text, "COUNTS", Everything()),
            patch.setattr(text, "_collected", encoding_without_dtype(text._collected)),
        ),
    ),
    "infinities that pass a scaler": (
        ["StandardScaler"],
        lambda patch: patch.setattr(scaling, "bounded", lambda block: block),
    ),
    "infinities that pass an imputer": (
        ["SimpleImputer"],
        lambda patch: patch.setattr(encoding, "bounded", lambda block: block),
    ),
    "infinities that pass a product": (
        ["Ridge"],
        lambda patch: patch.setattr(linear, "finite", lambda values: values),
    ),
    "the last bit of probabilities": (
        ["LogisticRegression"],
        lambda patch: wrapped(linear, "softmax", lambda values: np.nextafter(values, 2), patch),
    ),
    "an unknown category": (
        ["OneHotEncoder"],
        lambda patch: patch.setattr(encoding, "_unknown_position", lambda *arguments: None),
    ),
    "a centred norm": (
        ["Normalizer"],
        lambda patch: patch.setattr(scaling, "TINY", -1.0),
    ),
}


class Everything:
    def __contains__(self, value):
        return True


def encoding_without_dtype(function):
    return lambda first, *more: function(
        first, *more[: 2 if function.__name__ == "_collected" else 0]
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_noticed(fault, generated, monkeypatch):
    names, plant = FAULTS[fault]
    plant(monkeypatch)
    assert any(generated(names, count=count)["differences"] for count in (3, 12))
