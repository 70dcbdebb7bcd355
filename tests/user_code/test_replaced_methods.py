"""States of own classes that replace methods, as the code that was found shows it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from code_specs import spec_naming, write
from opcodes import EMPTY_LIST, name, new, pickled

from modelpack.inspection import with_trusted
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec
from modelpack.user_code import CodeOptions, find_code

SCALER = "sklearn.preprocessing._data:StandardScaler"
MODELS = """
import functools
import sklearn.ensemble
import sklearn.linear_model as linear
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from .bases import Base, Mixin as Other
from . import bases

class Plain(BaseEstimator):
    threshold = 0.5
    def fit(self, X, y=None):
        self.chosen = self._fast
        setattr(self, "named", self._fast)
    async def _slow(self): ...
    @staticmethod
    def helper(X): ...
    @functools.lru_cache
    def looked_up(self): ...
    @functools.cached_property
    def table(self): ...
    @property
    def width(self): ...
    @width.setter
    def width(self, value): ...
    def predict(self, X): ...
    def chosen(self, X): ...
    def named(self, X): ...
    def _fast(self, X): ...
    class Inner:
        def call(self): ...

class Derived(Base, Other): ...
class Dotted(bases.Base): ...
class Twice(Derived): ...
class Piped(Pipeline): ...
class Forest(sklearn.ensemble.RandomForestClassifier): ...
class Linear(linear.LogisticRegression):
    def fit(self, X, y):
        self.predict_proba = None
class Loop(Loop): ...
if True:
    class Conditional:
        def predict(self, X): ...
"""
BASES = """
class Base:
    def predict(self, X): ...
class Mixin:
    if True:
        def score(self, X): ...
"""
FILES = {"shop/__init__.py": "", "shop/models.py": MODELS, "shop/bases.py": BASES}


def checked(tmp_path: Path, owner: str, *names: str) -> list[str]:
    """The messages on a state of a class of `shop.models` with these names."""
    write(tmp_path, FILES)
    key = f"shop.models:{owner}"
    spec = replace(spec_naming(tmp_path / "model.pkl", key), own_states={key: names})
    found = with_trusted(spec, find_code(spec, CodeOptions())).safety
    assert found.verdict == ("refuse" if found.findings else "pass")
    return [finding.message.rpartition(" ")[2] for finding in found.findings]


@pytest.mark.parametrize(
    ("owner", "attribute"),
    [
        ("Plain", "predict"),
        ("Plain", "_slow"),
        ("Plain", "helper"),
        ("Plain.Inner", "call"),
        ("Derived", "predict"),
        ("Derived", "score"),
        ("Dotted", "predict"),
        ("Twice", "score"),
        ("Piped", "predict"),
        ("Forest", "_validate_X_predict"),
        ("Linear", "decision_function"),
        ("Conditional", "predict"),
    ],
)
def test_a_replaced_method_is_found(tmp_path: Path, owner: str, attribute: str) -> None:
    assert checked(tmp_path, owner, "fitted_", attribute) == [attribute]


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("Plain", ("threshold", "chosen", "named", "table", "width", "call", "n_features_in_")),
        ("Plain.Inner", ("predict",)),
        ("Linear", ("predict_proba", "coef_")),
        ("Derived", ("fit",)),
        ("Loop", ("predict",)),
        ("Missing", ("predict",)),
    ],
)
def test_attributes_that_a_class_sets_are_not_replaced_methods(
    tmp_path: Path, owner: str, names: tuple[str, ...]
) -> None:
    assert checked(tmp_path, owner, *names) == []


def inspected(path: Path, model: bytes) -> ModelSpec:
    path.write_bytes(pickled(model))
    return inspect(path)


def test_a_spec_has_the_names_that_states_set(tmp_path: Path) -> None:
    inner = new("shop:Part", y=EMPTY_LIST)
    model = new("shop:Model", b=inner, a=new(SCALER, mean_=EMPTY_LIST))
    spec = inspected(tmp_path / "m.pkl", model)
    assert spec.own_states == {"shop:Model": ("a", "b"), "shop:Part": ("y",)}


@pytest.mark.parametrize("trusted", ["--code", "--trust"])
def test_command_refuses_a_replaced_method(tmp_path: Path, trusted: str) -> None:
    write(tmp_path, {"shop.py": "class Model:\n    def predict(self, X): ...\n"})
    value = "." if trusted == "--code" else "shop:Model"
    for attribute, verdict in (("predict", "refuse"), ("fitted_", "pass")):
        model = new("shop:Model", **{attribute: name("numpy:log1p")})
        (tmp_path / "m.pkl").write_bytes(pickled(model))
        command = [sys.executable, "-m", "modelpack", "inspect", "m.pkl", trusted, value, "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)
        safety = found.get("model", found)["safety"]
        codes = {finding["code"] for finding in safety["findings"]}
        assert ("replaced-method" in codes) == (verdict == "refuse")
        assert safety["verdict"] == verdict, done.stderr
