"""What a report says about models that need help: their library, and parts that are left out."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelpack.errors import ModelNotSupportedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

ALARMS = Path(__file__).parents[1] / "data" / "alarms"
X = np.arange(24.0).reshape(12, 2)


@pytest.fixture
def own(monkeypatch):
    """A class of the author."""
    module = types.ModuleType("features")
    module.Wrapper = type("Wrapper", (), {"__module__": "features"})
    monkeypatch.setitem(sys.modules, "features", module)
    return module.Wrapper


def test_framework_of_a_class_of_the_author_is_that_of_its_model(own, tmp_path):
    wrapper = own()
    wrapper.encoder = OneHotEncoder().fit(X)
    wrapper.inner = {"model": LinearRegression().fit(X, X[:, 0])}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(wrapper))
    spec = inspect(tmp_path / "model.pkl")
    assert spec.estimator == "features.Wrapper"
    assert (spec.framework, spec.framework_version) == ("scikit-learn", sklearn.__version__)


def test_framework_of_a_class_without_known_parts_is_unknown(own, tmp_path):
    wrapper = own()
    wrapper.rules = {"a": 1}
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(wrapper))
    assert inspect(tmp_path / "model.pkl").framework is None


def test_transformers_that_are_not_selected_are_named(tmp_path):
    target = StandardScaler().fit(X[:, :1])
    encoder = OneHotEncoder().fit(X)
    model = LinearRegression().fit(X, X[:, 0])
    path = tmp_path / "parts.joblib"
    joblib.dump({"model": model, "y_scaler": target, "encoder": encoder}, path)
    notices = inspect(path, select=["model"]).notices
    assert [notice.partition(" is not")[0] for notice in notices] == [
        "y_scaler (StandardScaler)",
        "encoder (OneHotEncoder)",
    ]
    assert all("not applied to rows or predictions" in notice for notice in notices)


def test_model_of_sequences_is_harmless_and_not_supported():
    spec = inspect(ALARMS / "sklearn-crfsuite-0.5.0.pkl")
    assert spec.safety.verdict == "trust"
    with pytest.raises(ModelNotSupportedError, match="labels sequences of feature dicts") as error:
        require_servable(spec)
    assert "--code FILE.py" in error.value.hint
