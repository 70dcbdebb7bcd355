"""Models of every family, compiled from their files and read again: the bits of the estimator."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from record_checks import as_array, same
from record_models import cases
from sklearn import ensemble, tree
from text_models import text_cases

from modelpack.compilation.compile import compiled_content
from modelpack.errors import ModelNotSupportedError
from modelpack.inspection import inspector, limits
from modelpack.inspection.formats.trees import Unrecordable
from modelpack.inspection.recording import record_files
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import Context, compile_model
from modelpack.types import Member

METHODS = ("predict", "predict_proba", "decision_function", "transform")


@pytest.fixture(autouse=True)
def whole_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEPT_BYTES", "KEPT_TOTAL"):
        monkeypatch.setattr(limits, name, limits.STREAM_BYTES)


def tree_cases() -> list[Any]:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(400, 5))
    numbers = rows[:, 0] * rows[:, 1] + rows[:, 2]
    labels = np.digitize(numbers, [-0.5, 0.5])
    classifiers = [
        tree.DecisionTreeClassifier(max_depth=6),
        tree.ExtraTreeClassifier(),
        ensemble.RandomForestClassifier(20),
        ensemble.ExtraTreesClassifier(20),
        ensemble.GradientBoostingClassifier(n_estimators=8),
        ensemble.HistGradientBoostingClassifier(max_iter=8),
        ensemble.AdaBoostClassifier(n_estimators=8),
    ]
    regressors = [
        tree.DecisionTreeRegressor(max_depth=6),
        ensemble.RandomForestRegressor(20),
        ensemble.GradientBoostingRegressor(n_estimators=8),
        ensemble.HistGradientBoostingRegressor(max_iter=8, loss="poisson"),
        ensemble.AdaBoostRegressor(n_estimators=8),
        ensemble.IsolationForest(n_estimators=20),
    ]
    fitted = [each.fit(rows, labels) for each in classifiers]
    fitted += [each.fit(rows, np.abs(numbers)) for each in regressors]
    return [(model, generator.normal(size=(2_000, 5)), 0) for model in fitted]


def compiled_plan(model: Any, layout: str, path: Path) -> Any:
    """Return the methods of a model that was saved, compiled and read."""
    if path.suffix == ".joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model, int(path.suffix[-1])))
    spec = inspector.inspect(path)
    content = compiled_content(spec, record_files([str(path)], [Member()]))
    found = read(io.BytesIO(content))
    names = [field.name for field in spec.signature.inputs]
    return compile_model(found.root, Context(layout, names, found.release)).batch


@pytest.mark.parametrize(
    ("make", "layout", "least"),
    [(cases, "array", 50), (tree_cases, "array", 13), (text_cases, "text", 3)],
)
def test_compiled_file_has_the_bits_of_the_estimator(
    make: Any, layout: str, least: int, tmp_path: Path
) -> None:
    checked, refused = set(), {}
    files = ("m.pkl2", "m.pkl5", "m.joblib")
    for number, (model, rows, ulps) in enumerate(make()):
        name = type(model).__name__
        try:
            plan = compiled_plan(model, layout, tmp_path / files[number % len(files)])
        except (ModelNotSupportedError, Unrecordable) as error:
            refused[name] = str(error)
            continue
        for method in [each for each in METHODS if each in plan and hasattr(model, each)]:
            with np.errstate(all="ignore"):
                expected = as_array(getattr(model, method)(rows))
                same(plan[method](rows), expected, method, ulps)
        checked.add(name)
    assert len(checked) >= least, refused
