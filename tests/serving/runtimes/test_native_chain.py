"""Transformers in pickles, followed by a model in the format of its own library."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy import sparse
from serving_models import BASE, DATA, ENVIRONMENT
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

from modelpack.bundle.render import render
from modelpack.inspection import inspect, require_servable
from modelpack.serving import loading, manifest
from modelpack.serving.runtimes import select_runtime
from modelpack.serving.service import Service
from modelpack.serving.settings import Limits

rng = np.random.default_rng(3)
FRAME = pd.DataFrame({"a": rng.normal(2, 3, 80), "b": rng.normal(9, 40, 80)})
ZONES = pd.DataFrame({"zone": rng.choice(["north", "south", "west"], 80), "size": FRAME["b"]})
Y = (FRAME["a"] > FRAME["b"] / 10).astype(int)
SCALER = StandardScaler().fit(FRAME)
CAT = {"iterations": 3, "verbose": False, "thread_count": 1, "allow_writing_files": False}


def save_scaler(folder: Path) -> Path:
    joblib.dump(SCALER, folder / "scaler.pkl")
    return folder / "scaler.pkl"


def load_service(*paths: Path) -> Service:
    spec = inspect(*paths)
    require_servable(spec)
    folder = render(spec, ENVIRONMENT, BASE, paths[0].parent / "bundle").directory
    facts = manifest.read(folder)
    service = Service(facts, loading.load(folder, facts), Limits())
    service.warm_up()
    assert service.ready
    return service


def predictions(service: Service, frame: pd.DataFrame) -> list[Any]:
    instances = frame.to_dict("records")
    rows = service.decoder(instances).explain(instances)
    result: list[Any] = service.predict_decoded(rows).predictions.tolist()
    return result


def save_booster(library: str, values: Any, path: Path) -> Any:
    """Train and save a model, and return a function that predicts with it."""
    if library == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(values, Y)
        model.save_model(path)
        return model.predict
    if library == "lightgbm":
        light = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1, n_jobs=1).fit(values, Y)
        light.booster_.save_model(path)
        return light.predict
    cat = catboost.CatBoostClassifier(**CAT).fit(values, Y)
    cat.save_model(path)
    return cat.predict


@pytest.mark.parametrize(
    ("library", "name"),
    [("xgboost", "m.json"), ("xgboost", "m.ubj"), ("lightgbm", "m.txt"), ("catboost", "m.cbm")],
)
def test_rows_pass_through_the_scaler_before_the_booster(tmp_path, library, name):
    predict = save_booster(library, SCALER.transform(FRAME), tmp_path / name)
    service = load_service(save_scaler(tmp_path), tmp_path / name)
    assert [field.name for field in service.manifest.inputs] == ["a", "b"]
    expected = predict(SCALER.transform(FRAME)).tolist()
    assert predictions(service, FRAME) == expected
    assert predict(FRAME.to_numpy()).tolist() != expected  # the scaler is not superfluous


def test_two_transformers_and_a_booster(tmp_path):
    scaled = SCALER.transform(FRAME)
    rotation = PCA(1).fit(scaled)
    joblib.dump(rotation, tmp_path / "pca.pkl")
    predict = save_booster("lightgbm", rotation.transform(scaled), tmp_path / "m.txt")
    service = load_service(save_scaler(tmp_path), tmp_path / "pca.pkl", tmp_path / "m.txt")
    assert predictions(service, FRAME) == predict(rotation.transform(scaled)).tolist()


@pytest.mark.parametrize(("library", "name"), [("xgboost", "m.json"), ("catboost", "m.cbm")])
def test_an_encoder_of_a_frame_that_returns_a_sparse_matrix(tmp_path, library, name):
    encoder = make_column_transformer((OneHotEncoder(), ["zone"]), sparse_threshold=1.0)
    encoded = encoder.fit_transform(ZONES)
    assert sparse.issparse(encoded)
    predict = save_booster(library, encoded, tmp_path / name)
    joblib.dump(encoder, tmp_path / "encoder.joblib")
    service = load_service(tmp_path / "encoder.joblib", tmp_path / name)
    assert predictions(service, ZONES[["zone"]]) == predict(encoded).tolist()


def test_a_scaler_before_an_onnx_graph(tmp_path):
    pairs = pd.DataFrame({"a": [6.8, 5.1, 6.0], "b": [2.8, 3.5, 3.4]})
    shift = StandardScaler(with_std=False).fit(pairs - 100.0)
    shift.mean_[:] = -100.0  # adds a hundred
    joblib.dump(shift, tmp_path / "shift.pkl")
    service = load_service(tmp_path / "shift.pkl", DATA / "logreg_iris.onnx")
    assert predictions(service, pairs - 100.0) == [0, 0, 0]
    alone = (pairs - 100.0).set_axis(["x0", "x1"], axis=1)
    (tmp_path / "alone").mkdir()
    shutil.copy(DATA / "logreg_iris.onnx", tmp_path / "alone")
    assert predictions(load_service(tmp_path / "alone" / "logreg_iris.onnx"), alone) != [0, 0, 0]


@pytest.mark.parametrize("scaled", [False, True])
def test_a_label_encoder_behind_the_booster_decodes_its_predictions(tmp_path, scaled):
    values = SCALER.transform(FRAME) if scaled else FRAME.to_numpy()
    predict = save_booster("xgboost", values, tmp_path / "m.json")
    encoder = LabelEncoder().fit(["no", "yes"])
    joblib.dump(encoder, tmp_path / "labels.pkl")
    before = [save_scaler(tmp_path)] if scaled else []
    service = load_service(*before, tmp_path / "m.json", tmp_path / "labels.pkl")
    frame = FRAME if scaled else FRAME.set_axis(["x0", "x1"], axis=1)
    assert predictions(service, frame) == encoder.inverse_transform(predict(values)).tolist()


def test_missing_values_pass_through_a_scaler(tmp_path):
    predict = save_booster("xgboost", SCALER.transform(FRAME), tmp_path / "m.json")
    service = load_service(save_scaler(tmp_path), tmp_path / "m.json")
    holes = FRAME.head(3).copy()
    holes.iloc[1, 0] = np.nan
    instances = [[None if np.isnan(v) else v for v in row] for row in holes.to_numpy().tolist()]
    rows = service.decoder(instances).explain(instances)
    expected = predict(SCALER.transform(holes)).tolist()
    assert service.predict_decoded(rows).predictions.tolist() == expected


def test_a_setting_of_scikit_learn_applies_to_the_transformers(tmp_path):
    scaler = StandardScaler().set_output(transform="pandas").fit(FRAME)
    joblib.dump(scaler, tmp_path / "scaler.pkl")
    predict = save_booster("xgboost", scaler.transform(FRAME), tmp_path / "m.json")
    service = load_service(tmp_path / "scaler.pkl", tmp_path / "m.json")
    assert predictions(service, FRAME) == predict(scaler.transform(FRAME)).tolist()


def test_a_width_that_the_inspection_does_not_know_is_checked_for_each_request(tmp_path):
    """XGBoost would take the missing columns as missing values."""
    save_booster("xgboost", SCALER.transform(FRAME), tmp_path / "m.json")
    spec = inspect(save_scaler(tmp_path), tmp_path / "m.json")
    folder = render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    facts = manifest.read(folder)
    runtime = select_runtime(loading.load(folder, facts), facts)
    with pytest.raises(ValueError, match="2 values per row, not 1"):
        runtime.native.call_transformed("predict", np.ones((1, 1)))
