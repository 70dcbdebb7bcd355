"""Files of transformers, and the file of a model in the format of its own library."""

from __future__ import annotations

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from onnx_models import FLOAT, forest, node, tensor
from opcodes import SYSTEM, pickled
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder, StandardScaler

from modelpack.errors import ModelNotSupportedError, ModelRefusedError, UsageError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.types import Member, ModelSpec, from_json, to_json

X = np.arange(24.0).reshape(12, 2)
Y = np.array([0, 1] * 6)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    joblib.dump(StandardScaler().fit(X), "scaler.pkl")
    joblib.dump(StandardScaler().fit(np.ones((3, 5))), "wide.pkl")
    joblib.dump(LogisticRegression().fit(X, Y), "model.pkl")
    joblib.dump(LabelEncoder().fit(["no", "yes"]), "labels.pkl")
    joblib.dump(LabelEncoder().fit(["a", "b", "c"]), "three.pkl")
    xgboost.XGBClassifier(n_estimators=2).fit(X, Y).save_model("model.json")
    frame = pd.DataFrame({"zone": pd.Categorical(["a", "b"] * 6), "size": X[:, 0]})
    light = lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=1, verbose=-1)
    light.fit(frame, Y).booster_.save_model("zones.txt")
    return tmp_path


def test_facts_of_the_rows_and_of_the_predictions(folder):
    spec = inspect("scaler.pkl", "model.json")
    require_servable(spec)
    assert spec.members == (Member(0), Member(1))
    assert (spec.framework, spec.task, spec.method) == ("xgboost", "classifier", "predict")
    assert spec.framework_version == xgboost.__version__
    assert [step.name for step in spec.steps] == ["standardscaler", "model"]
    assert [field.nullable for field in spec.signature.inputs] == [True, True]
    assert spec.signature.classes == (0, 1)
    assert spec.signature.probabilities
    assert {"joblib", "numpy", "scikit-learn", "xgboost"} == set(spec.requirements)
    assert from_json(ModelSpec, to_json(spec)) == spec


def test_labels_behind_the_model(folder):
    spec = inspect("scaler.pkl", "model.json", "labels.pkl")
    require_servable(spec)
    assert spec.labels == ("no", "yes")
    assert spec.signature.classes == ("no", "yes")
    assert inspect("model.json", "labels.pkl").labels == ("no", "yes")


@pytest.mark.parametrize(
    ("files", "reason", "hint"),
    [
        ("model.json scaler.pkl", "comes before StandardScaler", "order: scaler.pkl model.json"),
        ("model.pkl model.json", "does not transform rows", "in the order"),
        ("labels.pkl model.json", "does not transform rows", "order: model.json labels.pkl"),
        ("wide.pkl model.json", "5 values per row, but an XGBoost model .JSON. takes 2", "order"),
        ("scaler.pkl zones.txt", "takes categories or texts as zone", "in the order"),
        ("model.json zones.txt", "2 models", "alone, such as: modelpack package model.json"),
        ("model.json three.pkl", "does not have the 2 classes", "in the order"),
    ],
)
def test_files_that_are_not_one_model(folder, files, reason, hint):
    spec = inspect(*files.split())
    assert spec.safety.verdict == "pass"
    with pytest.raises(ModelNotSupportedError, match=reason) as error:
        require_servable(spec)
    assert hint in error.value.hint


def test_the_order_of_the_hint_is_accepted(folder):
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(inspect("model.json", "scaler.pkl"))
    require_servable(inspect(*error.value.hint.partition(": ")[2].split()))


def test_select_is_for_one_file(folder):
    with pytest.raises(UsageError, match="several files"):
        inspect("scaler.pkl", "model.json", select=["model"])


def test_a_hostile_pickle_is_refused_before_a_native_model(folder):
    (folder / "evil.pkl").write_bytes(pickled(SYSTEM))
    spec = inspect("evil.pkl", "model.json")
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError, match=r"evil\.pkl: .*system"):
        require_servable(spec)


def test_a_damaged_native_model_is_refused_behind_a_scaler(folder):
    content = (folder / "model.json").read_bytes()
    (folder / "model.json").write_bytes(content[:-40])
    with pytest.raises((ModelRefusedError, ModelNotSupportedError)):
        require_servable(inspect("scaler.pkl", "model.json"))


@pytest.mark.parametrize(
    ("before", "on"),
    [((), "X"), ((node("Identity", ["X"], ["z"]),), "z"), ((node("Cast", ["X"], ["z"]),), "z")],
    ids=["directly", "identity", "cast"],
)
def test_trees_of_onnx_with_an_open_width_read_only_what_the_transformer_returns(
    folder, before, on
):
    """onnxruntime reads features by index, without a check against the width of the row."""
    (folder / "m.onnx").write_bytes(forest([1, 0, 0], before, on, width=None))
    require_servable(inspect("scaler.pkl", "m.onnx"))
    (folder / "m.onnx").write_bytes(forest([2, 0, 0], before, on, width=None))
    require_servable(inspect("wide.pkl", "m.onnx"))
    with pytest.raises(ModelNotSupportedError, match=r"2 values per row, .* reads at least 3"):
        require_servable(inspect("scaler.pkl", "m.onnx"))


def test_an_onnx_model_with_an_open_width_takes_the_columns_that_its_trees_read(folder):
    (folder / "m.onnx").write_bytes(forest([2, 0, 0], width=None))
    model = inspect("m.onnx")
    assert [field.name for field in model.signature.inputs] == ["x0", "x1", "x2"]
    require_servable(model)
    (folder / "rows.csv").write_text("1.0,2.0\n3.0,4.0\n")
    sources = ReferenceSources([folder / "m.onnx"], example=folder / "rows.csv")
    with pytest.raises(UsageError, match="have 2 values, but the model takes 3"):
        prepare(model, sources)


def test_a_tree_reads_one_column_of_each_of_several_inputs_with_an_open_width(folder):
    several = [tensor("X", FLOAT, [None, None]), tensor("Z", FLOAT, [None, None])]
    (folder / "m.onnx").write_bytes(forest([0, 0, 0], inputs=several))
    require_servable(inspect("m.onnx"))
    (folder / "m.onnx").write_bytes(forest([1, 0, 0], inputs=several))
    with pytest.raises(ModelRefusedError, match="a feature that does not exist"):
        require_servable(inspect("m.onnx"))
