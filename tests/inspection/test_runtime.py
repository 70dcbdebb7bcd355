"""Loading looks up no other names than those that the inspector records."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
from catboost import CatBoostClassifier
from hmmlearn.hmm import GaussianHMM
from lightgbm import LGBMClassifier
from statsmodels.api import OLS
from xgboost import XGBClassifier
from zoo import CLASSES, X, Y, fitted_model

from modelpack.inspection import inspect
from modelpack.serving.runtimes import LOADERS

pytestmark = pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")

BEYOND = {
    "catboost": lambda: CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False),
    "hmmlearn": lambda: GaussianHMM(2, random_state=0),
    "lightgbm": lambda: LGBMClassifier(n_estimators=3, verbose=-1),
    "xgboost": lambda: XGBClassifier(n_estimators=3),
}
"""Models that save themselves in forms of their own inside the pickle."""


def dump(model, path):
    path.write_bytes(pickle.dumps(model))


def loaded(path):
    spec = inspect(path)
    with path.open("rb") as stream:
        return LOADERS[spec.format](stream, frozenset(spec.globals))


@pytest.mark.parametrize("save", [joblib.dump, dump], ids=["joblib", "pickle"])
@pytest.mark.slow
def test_every_estimator_loads_by_the_names_that_were_recorded(tmp_path, save):
    models = [fitted_model(name) for name in CLASSES]
    save(models, tmp_path / "all")
    assert [repr(model) for model in loaded(tmp_path / "all")] == [repr(model) for model in models]


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
@pytest.mark.parametrize("save", [joblib.dump, dump], ids=["joblib", "pickle"])
@pytest.mark.parametrize("library", BEYOND)
def test_models_of_other_libraries_load_and_predict_the_same(tmp_path, library, save):
    model = BEYOND[library]()
    model.fit(X, Y) if library != "hmmlearn" else model.fit(X)
    save(model, tmp_path / "saved")
    assert loaded(tmp_path / "saved").predict(X).tolist() == model.predict(X).tolist()


def test_results_of_statsmodels_load_and_predict_the_same(tmp_path):
    results = OLS(Y, X).fit()
    dump(results, tmp_path / "saved")
    np.testing.assert_array_equal(loaded(tmp_path / "saved").predict(X), results.predict(X))
