"""Models that XGBoost's estimators for scikit-learn saved, served as these estimators answer."""

import json
import pickle

import numpy as np
import pytest
import xgboost
from flask_clients import client_for_bundle
from serving_models import render_native_bundle

from modelpack.inspection import inspect

RNG = np.random.default_rng(11)
X = RNG.normal(size=(90, 3))
TWO = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.5, 0.5])


def fitted(kind=xgboost.XGBClassifier, targets=TWO, **parameters):
    model = kind(**{"n_estimators": 4, "n_jobs": 1, **parameters})
    if "early_stopping_rounds" not in parameters:
        return model.fit(X, targets)
    return model.fit(X[:60], targets[:60], eval_set=[(X[60:], targets[60:])], verbose=False)


def answers(path, folder):
    response = client_for_bundle(render_native_bundle(path, folder)).post(
        "/predict?probabilities=true", json={"instances": X.tolist()}
    )
    assert response.status_code == 200
    return response.json


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("targets", [TWO, THREE], ids=["two", "three"])
def test_classifier_gives_labels_and_probabilities(targets, suffix, tmp_path):
    model = fitted(targets=targets)
    path = tmp_path / f"model.{suffix}"
    model.save_model(path)
    spec = inspect(path)
    assert (spec.task, spec.estimator) == ("classifier", "xgboost.sklearn.XGBClassifier")
    assert spec.signature.classes == tuple(range(targets.max() + 1))
    assert spec.signature.probabilities
    assert spec.signature.outputs[0].type == "integer"
    found = answers(path, tmp_path)
    again = xgboost.XGBClassifier()
    again.load_model(path)
    assert found["predictions"] == again.predict(X).tolist()
    rows = [list(row.values()) for row in found["probabilities"]]
    assert np.array_equal(np.array(rows, np.float32), again.predict_proba(X))


@pytest.mark.parametrize("suffix", ["json", "pkl"])
def test_bare_booster_predicts_like_the_library(tmp_path, suffix):
    parameters = {"objective": "binary:logistic", "nthread": 1}
    model = xgboost.train(parameters, xgboost.DMatrix(X, TWO), 4)
    path = tmp_path / f"model.{suffix}"
    if suffix == "json":
        model.save_model(path)
    else:
        path.write_bytes(pickle.dumps(model))
    spec = inspect(path)
    assert (spec.estimator, spec.signature.probabilities) == ("xgboost.core.Booster", False)
    response = client_for_bundle(render_native_bundle(path, tmp_path)).post(
        "/predict", json={"instances": X.tolist()}
    )
    assert np.array_equal(
        np.array(response.json["predictions"], np.float32), model.predict(xgboost.DMatrix(X))
    )


@pytest.mark.parametrize("kind", [xgboost.XGBClassifier, xgboost.XGBRegressor])
def test_trees_after_the_best_iteration_are_not_used(kind, tmp_path):
    noise = RNG.integers(0, 2, len(X))
    model = fitted(kind, noise, n_estimators=40, early_stopping_rounds=3, learning_rate=1.0)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    path = tmp_path / "model.json"
    model.save_model(path)
    client = client_for_bundle(render_native_bundle(path, tmp_path))
    found = client.post("/predict", json={"instances": X.tolist()}).json["predictions"]
    assert np.array_equal(np.array(found, model.predict(X).dtype), model.predict(X))


@pytest.mark.parametrize("text", ["{", "[]", '"classifier"', '{"_estimator_type": 3}', 7])
def test_broken_attribute_of_the_wrapper_is_ignored(text, tmp_path):
    path = tmp_path / "model.json"
    fitted().save_model(path)
    document = json.loads(path.read_text())
    document["learner"]["attributes"]["scikit_learn"] = text
    path.write_text(json.dumps(document))
    spec = inspect(path)
    assert (spec.safety.verdict, spec.signature.probabilities) == ("pass", False)
