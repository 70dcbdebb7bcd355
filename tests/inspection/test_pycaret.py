"""Pipelines of PyCaret: their inputs, and the versions that they record."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from modelpack.inspection.inspector import inspect

DATA = Path(__file__).parents[1] / "data" / "alarms"


@pytest.fixture
def module(monkeypatch):
    """A module of the name of PyCaret's, with a pipeline and a wrapper of transformers."""
    name = "pycaret.internal.pipeline"
    stub = types.ModuleType(name)
    for cls, bases in (("Pipeline", (Pipeline,)), ("TransformerWrapper", ())):
        setattr(stub, cls, type(cls, bases, {"__module__": name}))
    for known in ("pycaret", "pycaret.internal", name):
        monkeypatch.setitem(sys.modules, known, stub)
    return stub


def save(module, path, **attributes):
    wrapper = module.TransformerWrapper()
    wrapper.__dict__.update(target_name_="y", _feature_names_in=["age", "y"])
    model = LogisticRegression().fit([[1.0], [2.0]], [0, 1])
    pipeline = module.Pipeline([("impute", wrapper), ("model", model)])
    pipeline.__dict__.update(attributes)
    path.write_bytes(pickle.dumps(pipeline))
    return inspect(path)


def test_the_target_is_no_input(module, tmp_path):
    spec = save(module, tmp_path / "model.pkl", _feature_names_in=["age", "y"])
    assert [field.name for field in spec.signature.inputs] == ["age"]


def test_recorded_versions_are_those_of_the_training(module, tmp_path):
    versions = {
        "pycaret": "3.3.2", "sklearn": "1.4.2", "pandas": "2.1.4", "pip": "24.0",
        "kaleido": "Not installed", "numpy": "1.26.4+local", "evil; import os": "1.0",
        "pyod": "--index-url x",
    }  # fmt: skip
    recorded = {"deps_info": versions, "python": {"version": "3.11.7"}}
    spec = save(module, tmp_path / "model.pkl", _pycaret_versions=recorded)
    assert spec.recorded == {"pycaret": "3.3.2", "scikit-learn": "1.4.2", "pandas": "2.1.4"}
    assert spec.trained_on == "3.11"
    assert spec.requirements["pycaret"] == "==3.3.2"


@pytest.mark.parametrize("recorded", [None, [], {"deps_info": 3}, {"python": {"version": 3}}])
def test_malformed_records_are_ignored(module, tmp_path, recorded):
    spec = save(module, tmp_path / "model.pkl", _pycaret_versions=recorded)
    assert (spec.recorded, spec.trained_on) == ({}, None)


def test_pipeline_of_pycaret_2_contains_its_model():
    spec = inspect(DATA / "lr-pycaret-2.3.10.pkl")
    assert spec.task == "classifier"
    assert spec.steps[-1].type == "sklearn.linear_model._logistic.LogisticRegression"
    assert spec.requirements["pycaret"] == ">=2,<3"
    assert spec.safety.verdict == "trust"


def test_pipeline_of_pycaret_3_names_its_release():
    spec = inspect(DATA / "lr-pycaret-3.3.2.pkl")
    assert spec.requirements["pycaret"] == "==3.3.2"
    assert spec.safety.verdict == "trust"
