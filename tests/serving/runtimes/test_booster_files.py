"""Boosters that are given text in the place of rows: the service opens no file of that name."""

from __future__ import annotations

import json
import pickle
import sys
import timeit
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

from modelpack.inspection import inspect
from modelpack.serving import loading, manifest
from modelpack.serving.runtimes import wrappers
from modelpack.types import to_json

rng = np.random.default_rng(0)
X = rng.random((60, 3))
Y = (X[:, 0] > 0.5).astype(int)


def light() -> Any:
    return lightgbm.LGBMRegressor(n_estimators=2, verbose=-1, n_jobs=1).fit(X, Y)


def extreme(cls: Any = xgboost.XGBRegressor, **settings: Any) -> Any:
    return cls(n_estimators=2, n_jobs=1, **settings).fit(X, Y)


CAT = {"iterations": 2, "verbose": False, "thread_count": 1, "allow_writing_files": False}
BOOSTERS: dict[str, Any] = {
    "xgboost regressor": extreme,
    "xgboost classifier": lambda: extreme(xgboost.XGBClassifier),
    "xgboost random forest": lambda: extreme(xgboost.XGBRFClassifier),
    "xgboost linear": lambda: extreme(booster="gblinear"),
    "xgboost dart": lambda: extreme(booster="dart"),
    "lightgbm regressor": light,
    "lightgbm booster": lambda: light().booster_,
    "catboost classifier": lambda: catboost.CatBoostClassifier(**CAT).fit(X, Y),
    "catboost regressor": lambda: catboost.CatBoostRegressor(**CAT).fit(X, Y),
}
OPENS = {name for name in BOOSTERS if name.startswith("xgboost")} | {"lightgbm booster"}
"""Those that open the file. The others check the shape of the rows first."""


FAILURES = (
    TypeError, ValueError, IndexError, catboost.CatBoostError, xgboost.core.XGBoostError,
    lightgbm.basic.LightGBMError,
)  # fmt: skip


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, method in wrappers.ENTRIES:
        cls = getattr(import_module(module), name)
        function = getattr(cls, method)
        is_guarded = hasattr(function, wrappers.GUARDED)
        monkeypatch.setattr(cls, method, function.__wrapped__ if is_guarded else function)


@pytest.fixture
def guarded(unguarded: None) -> None:
    wrappers.guard()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    np.savetxt(path, X[:5], delimiter=",")
    return path


def texts(name: str, file: Path) -> list[Any]:
    """Return values that a booster takes for the name of a file."""
    if name.startswith("xgboost"):
        return [f"{file}?format=csv", Path(f"{file}?format=csv")]
    return [str(file), np.str_(file), file]


@pytest.mark.filterwarnings("ignore:.*Text file input")
@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("name", sorted(OPENS))
def test_boosters_answer_with_the_contents_of_a_file(name: str, file: Path) -> None:
    for text in texts(name, file):
        assert len(BOOSTERS[name]().predict(text)) == 5


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("name", sorted(OPENS))
def test_text_is_refused(name: str, file: Path) -> None:
    model = BOOSTERS[name]()
    for text in texts(name, file):
        with pytest.raises(TypeError, match="the name of a file"):
            model.predict(text)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("name", sorted(BOOSTERS))
def test_no_text_is_answered(name: str, file: Path) -> None:
    model, text = BOOSTERS[name](), str(file)
    arrays = [np.array(text), np.array(text, object), np.array([text]), np.array([[text] * 3])]
    for value in [*texts(name, file), np.str_(text), text.encode(), [text], *arrays]:
        with pytest.raises(FAILURES):
            model.predict(value)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("how", [xgboost.DMatrix, catboost.Pool])
@pytest.mark.parametrize("dtype", [None, object])
def test_arrays_without_rows_are_refused(how: Any, dtype: Any, file: Path) -> None:
    with pytest.raises(TypeError, match="the name of a file"):
        how(np.array(str(file), dtype))


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("how", [xgboost.DMatrix, catboost.Pool])
def test_data_by_keyword_is_looked_at(how: Any, file: Path) -> None:
    with pytest.raises(TypeError, match="the name of a file"):
        how(data=str(file))


class Names(TransformerMixin, BaseEstimator):
    """A step that makes text of rows."""

    def fit(self, rows: Any, _: Any = None) -> Names:
        return self

    def transform(self, rows: Any) -> Any:
        return f"{rows[0]}?format=csv"


@pytest.mark.usefixtures("guarded")
def test_no_request_chooses_a_file(file: Path) -> None:
    model = make_pipeline(Names(), extreme())
    with pytest.raises(TypeError, match="the name of a file"):
        model.predict([str(file)])


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("name", BOOSTERS)
def test_rows_get_the_answers_of_the_library(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = BOOSTERS[name]()
    tables = [X, pd.DataFrame(X), sparse.csr_matrix(X), np.asfortranarray(X), X.astype(np.float32)]
    if not name.startswith("lightgbm"):
        tables.append(X.tolist())
    answers = [np.asarray(model.predict(rows)) for rows in tables]
    for module, kind, method in wrappers.ENTRIES:
        cls = getattr(import_module(module), kind)
        monkeypatch.setattr(cls, method, getattr(cls, method).__wrapped__)
    for rows, answer in zip(tables, answers, strict=True):
        np.testing.assert_array_equal(model.predict(rows), answer)


@pytest.mark.usefixtures("guarded")
def test_a_library_is_guarded_once() -> None:
    before = xgboost.DMatrix.__init__
    wrappers.guard()
    assert xgboost.DMatrix.__init__ is before
    assert hasattr(before, wrappers.GUARDED)


def test_libraries_that_are_not_loaded_are_left_out(
    monkeypatch: pytest.MonkeyPatch, unguarded: None
) -> None:
    monkeypatch.delitem(sys.modules, "catboost.core")
    wrappers.guard()
    assert not hasattr(catboost.Pool.__init__, wrappers.GUARDED)
    assert hasattr(xgboost.DMatrix.__init__, wrappers.GUARDED)


def test_models_are_loaded_with_the_guard(tmp_path: Path, unguarded: None) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(extreme()))
    spec = inspect(tmp_path / "model.pkl")
    spec = replace(spec, file=replace(spec.file, path="model.pkl"))
    document = {"schema": 1, "model": to_json(spec)}
    (tmp_path / "modelpack.json").write_text(json.dumps(document))
    loading.load(tmp_path, manifest.read(tmp_path))
    assert hasattr(xgboost.DMatrix.__init__, wrappers.GUARDED)


def test_the_check_costs_less_than_a_microsecond() -> None:
    rows = np.zeros((1, 4))
    seconds = min(timeit.repeat(lambda: wrappers._is_text(rows), number=1000, repeat=20))
    assert seconds / 1000 < 2e-6
