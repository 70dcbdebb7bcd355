"""Compiled files: what they contain, and which models have none."""

from __future__ import annotations

import json
import pickle
import resource
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import DBSCAN
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    MaxAbsScaler,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVR

from modelpack.compilation import compile as compile_module
from modelpack.compilation.compile import compile_file
from modelpack.errors import ModelNotSupportedError, ModelRefusedError, NoCompiledFormError
from modelpack.inspection import inspect
from modelpack.inspection.facts import compilable
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import COMPILERS, Context, compile_model

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(300, 4))
NUMBERS = ROWS @ [1.0, -2.0, 3.0, 0.5] + 1
LABELS = np.digitize(NUMBERS, [0, 2])
MODELS = {
    "linear": LinearRegression().fit(ROWS, NUMBERS),
    "classes": make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS),
    "ridge": make_pipeline(StandardScaler(), RidgeClassifier()).fit(ROWS, LABELS),
    "texts": LogisticRegression().fit(ROWS, np.array(["no", "perhaps", "yes"])[LABELS]),
}


def save(model: Any, path: Path) -> Path:
    if path.suffix == ".joblib":
        joblib.dump(model, path, compress=3)
    elif path.suffix == ".skops":
        skops.io.dump(model, path)
    else:
        path.write_bytes(pickle.dumps(model, int(path.suffix[-1])))
    return path


def compiled(model: Any, folder: Path, name: str = "model.joblib") -> Path:
    path = folder / "model.compiled"
    spec = compile_file(inspect(save(model, folder / name)), path)
    assert (spec.format, spec.globals, spec.requirements) == ("compiled", (), {"numpy": ""})
    return path


def document(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("model.json"))


@pytest.mark.parametrize("file", ["m.pkl2", "m.pkl4", "m.pkl5", "m.joblib", "m.skops"])
@pytest.mark.parametrize("name", MODELS)
def test_compiled_model_predicts_the_same_bits(name: str, file: str, tmp_path: Path) -> None:
    model = MODELS[name]
    with compiled(model, tmp_path, file).open("rb") as stream:
        found = read(stream)
    plan = compile_model(found.root, Context("array", list("abcd"), found.release))
    assert "predict" in plan.batch
    for method, function in plan.batch.items():
        np.testing.assert_array_equal(function(ROWS), getattr(model, method)(ROWS), strict=True)


def test_file_contains_only_what_the_plan_reads(tmp_path: Path) -> None:
    found = document(compiled(MODELS["classes"], tmp_path))
    assert [set(record["attributes"]) for record in found["records"]] == [
        {"mean_", "scale_", "with_mean", "with_std"},
        {"classes_", "coef_", "intercept_"},
        {"steps"},
    ]
    assert found["members"] == [2]


def test_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = compiled(MODELS["classes"], tmp_path).read_bytes()
    assert compiled(MODELS["classes"], tmp_path / "other", "m.pkl4").read_bytes() == one


class Own(ClassifierMixin, BaseEstimator):
    def fit(self, rows: Any, labels: Any) -> Own:
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (DBSCAN().fit(ROWS), "DBSCAN has no compiled form"),
        (make_pipeline(StandardScaler(), Own()).fit(ROWS, LABELS), "Own"),
        (
            make_pipeline(MaxAbsScaler(clip=True), LinearRegression()).fit(ROWS, NUMBERS),
            "MaxAbsScaler clips",
        ),
        (
            VotingRegressor([("a", SVR(kernel="precomputed"))]).fit(ROWS @ ROWS.T, NUMBERS),
            "SVR has no compiled form: the kernel",
        ),
        (
            make_pipeline(OneHotEncoder(), LinearRegression()).fit(
                np.array([["2024-01-01"], ["2025-01-01"]], "M8[D]"), [1, 2]
            ),
            "an array in the attribute categories_ of OneHotEncoder",
        ),
        (
            make_pipeline(StandardScaler(), LinearRegression())
            .set_output(transform="pandas")
            .fit(ROWS, NUMBERS),
            "StandardScaler returns pandas",
        ),
    ],
)
def test_model_without_a_compiled_form_is_named(model: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(NoCompiledFormError, match=reason) as caught:
        compiled(model, tmp_path)
    assert "--compiled" in caught.value.hint
    assert not (tmp_path / "model.compiled").exists()


def test_parameter_of_a_later_release_is_refused(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, NUMBERS)
    model.squared = True
    with pytest.raises(ModelNotSupportedError, match="unknown parameter squared"):
        compiled(model, tmp_path)


def test_parameter_without_a_form_is_refused_too(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, NUMBERS)
    model.later = np.sum
    with pytest.raises(ModelNotSupportedError, match="unknown parameter later"):
        compiled(model, tmp_path)


def with_pattern(pattern: str) -> Any:
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["a bad", "good"], [0, 1])
    model[0].token_pattern = pattern
    return model


def with_coefficients(make: Callable[[], Any]) -> Any:
    model = LinearRegression().fit(ROWS, NUMBERS)
    model.coef_ = make()
    return model


def cycle() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


def polynomial() -> Any:
    model = make_pipeline(PolynomialFeatures(2), LinearRegression()).fit(ROWS, NUMBERS)
    model[0].n_features_in_ = 4_000_000
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (partial(with_pattern, "("), "pattern is invalid"),
        (partial(with_pattern, "(?:a{0,65000}b{0,65000}){0,65000}" * 2_000), "too long"),
        (partial(with_coefficients, cycle), "contains itself"),
        (polynomial, "too many columns"),
        (
            lambda: MultiOutputClassifier(LogisticRegression()).fit(ROWS, np.c_[LABELS, LABELS]),
            "no compiled predict_proba",
        ),
    ],
)
def test_hostile_or_partial_model_is_refused(
    make: Callable[[], Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotSupportedError, match=reason):
        compiled(make(), tmp_path, "m.pkl5")


class SharingPickler(pickle.Pickler):
    """Writes arrays of 64 numbers that share one value of the file."""

    content = bytes(512)

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray) or value.size != 64:
            return NotImplemented
        function, arguments, state = value.__reduce__()
        return function, arguments, (*state[:-1], self.content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dtype": "float32"}, "a column is float32"),
        ({"dtype": "int8"}, "booleans, for which numpy computes short floats"),
    ],
)
def test_columns_with_which_the_estimator_computes_otherwise_are_refused(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = make_pipeline(FunctionTransformer(np.cbrt), LinearRegression()).fit(ROWS, NUMBERS)
    spec = inspect(save(model, tmp_path / "m.joblib"))
    field = replace(spec.signature.inputs[0], **change)
    signature = replace(spec.signature, inputs=(field, *spec.signature.inputs[1:]))
    with pytest.raises(ModelNotSupportedError, match=reason):
        compile_file(replace(spec, signature=signature), tmp_path / "model.compiled")


def test_value_that_arrays_of_many_forms_share_is_refused(tmp_path: Path) -> None:
    model = with_coefficients(lambda: [np.zeros((size, 64 // size)) for size in (1, 2, 4, 8, 16)])
    with (tmp_path / "model.pkl").open("wb") as stream:
        SharingPickler(stream, 4).dump(model)
    with pytest.raises(ModelNotSupportedError, match="many arrays share in the attribute coef_"):
        compile_file(inspect(tmp_path / "model.pkl"), tmp_path / "model.compiled")


def test_large_array_that_many_trees_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_module, "MEMORY_BYTES", (1 << 26, 1))
    model = RandomForestRegressor(1).fit(ROWS, NUMBERS)
    model.estimators_ *= 20_000
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(ModelNotSupportedError, match="MemoryError"):
        compiled(model, tmp_path)
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_equal_arrays_are_written_once(tmp_path: Path) -> None:
    model = VotingRegressor([("a", Ridge()), ("b", Ridge())]).fit(ROWS, NUMBERS)
    coefficients = np.array([1.0, 2.0, 3.0, 4.0])
    for each in model.estimators_:
        each.coef_ = coefficients.copy()
    assert len(document(compiled(model, tmp_path))["arrays"]) == 1


def test_labels_that_are_not_finite_are_written(tmp_path: Path) -> None:
    encoder = LabelEncoder().fit([0.0, 1.0, np.nan])
    model = {"model": MODELS["classes"], "label_encoder": encoder}
    with compiled(model, tmp_path).open("rb") as stream:
        np.testing.assert_array_equal(read(stream).labels, [0.0, 1.0, np.nan])


def test_absurd_attribute_is_no_bug_of_modelpack(tmp_path: Path) -> None:
    model = make_pipeline(MissingIndicator(), LinearRegression())
    model.fit(np.where(ROWS > 2, np.nan, ROWS), NUMBERS)
    model[0]._n_features = 2**45
    with pytest.raises(ModelNotSupportedError, match="cannot be compiled"):
        compiled(model, tmp_path)


def test_file_that_changed_after_the_inspection_is_refused(tmp_path: Path) -> None:
    path = save({"model": MODELS["linear"]}, tmp_path / "m.joblib")
    spec = inspect(path)
    save([1], path)
    with pytest.raises(ModelRefusedError):
        compile_file(spec, tmp_path / "model.compiled")


def test_inspect_knows_the_classes_with_a_compiled_form() -> None:
    assert COMPILERS.keys() - {"Chain", "Labelled"} == compilable._CLASSES


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (MODELS["classes"], ""),
        (make_pipeline(StandardScaler(), DBSCAN()).fit(ROWS), "sklearn.cluster._dbscan.DBSCAN has"),
    ],
)
def test_inspect_names_the_part_without_a_compiled_form(
    model: Any, reason: str, tmp_path: Path
) -> None:
    found = inspect(save(model, tmp_path / "m.joblib")).not_compilable
    assert found.startswith(reason) if reason else found == ""
