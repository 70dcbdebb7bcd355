"""Estimators of scikit-learn fitted on DataFrames, and their manifests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import all_estimators

from modelpack.serving.manifest import Field, Manifest, ModelFile

METHODS = ("predict", "predict_proba", "decision_function", "transform")
KINDS = ("classifier", "regressor", "transformer", "cluster")
TRAINED = 40
ROWS = 300
NAMES = ("a", "b", "c", "d")

_rng = np.random.default_rng(0)
_NUMBERS = pd.DataFrame(_rng.normal(size=(ROWS, 4)) * 3, columns=list(NAMES))

MIXES = {
    "float64": _NUMBERS,
    "float32": _NUMBERS.astype("float32"),
    "int64": (_NUMBERS * 10).astype("int64"),
    "int64+float64": _NUMBERS.assign(b=(_NUMBERS.b * 10).astype("int64")),
    "float32+float64": _NUMBERS.astype({"a": "float32", "c": "float32"}),
    "bool+float64": _NUMBERS.assign(b=_NUMBERS.b > 0),
}
"""Estimators with the layout "array", except for the last one, which has "frame"."""

_PARTS = {
    "estimator": {"classifier": LogisticRegression(), None: Ridge()},
    "base_estimator": {"classifier": LogisticRegression(), None: Ridge()},
    "estimators": {"classifier": [("e", LogisticRegression())], None: [("e", Ridge())]},
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "CCA": {"n_components": 1},
    "GaussianRandomProjection": {"n_components": 2},
    "HistGradientBoostingClassifier": {"max_iter": 4},
    "HistGradientBoostingRegressor": {"max_iter": 4},
    "OrthogonalMatchingPursuitCV": {"max_iter": 2},
    "PLSCanonical": {"n_components": 1},
    "PLSSVD": {"n_components": 1},
    "RFE": {"estimator": RandomForestClassifier(3, random_state=0)},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "SparseRandomProjection": {"n_components": 2},
}
NOT_FOR_TABLES = {
    # They take texts, dicts, labels, images, kernels or one column.
    "DictVectorizer", "FeatureHasher", "HashingVectorizer", "IsotonicRegression", "KernelCenterer",
    "LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer", "PatchExtractor", "SparseCoder",
    # They have several outputs, or need named columns, and so the layout "frame".
    "ClassifierChain", "ColumnTransformer", "FeatureUnion", "MultiOutputClassifier",
    "MultiOutputRegressor", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso",
    "MultiTaskLassoCV", "RegressorChain", "TfidfTransformer", "TSNE",
}  # fmt: skip


NOT_NEGATIVE = {
    "AdditiveChi2Sampler", "CategoricalNB", "ComplementNB", "LatentDirichletAllocation",
    "MiniBatchNMF", "MultinomialNB", "NMF", "SkewedChi2Sampler",
}  # fmt: skip


def estimators() -> Iterator[tuple[str, str, type]]:
    """Return (kind, name, class) of the estimators that take a table of numbers."""
    for kind in KINDS:
        for name, cls in all_estimators(kind):
            if name not in NOT_FOR_TABLES:
                yield kind, name, cls


def fitted(kind: str, name: str, cls: type, frame: pd.DataFrame) -> tuple[Any, pd.DataFrame]:
    """The estimator, fitted on the first rows, and rows that it takes: absolute values, if it
    refuses others.
    """
    if name in NOT_NEGATIVE:
        frame = frame.where(frame > 0, 0).astype(frame.dtypes)
    head = frame[:TRAINED]
    total = head.astype(float).sum(axis=1)
    target = total.abs() + 0.1 if kind == "regressor" else (total > total.median()).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _create_estimator(kind, name, cls).fit(head, target), frame


def _create_estimator(kind: str, name: str, cls: type) -> Any:
    settings = dict(_SETTINGS.get(name, {}))
    for parameter in getattr(cls, "_required_parameters", ()) or _required(cls):
        if parameter in _PARTS and parameter not in settings:
            kinds = _PARTS[parameter]
            is_classifier = kind == "classifier" or "Classifier" in name
            settings[parameter] = kinds["classifier" if is_classifier else None]
    model = cls(**settings)
    known = model.get_params(deep=False)
    fast = {"random_state": 0, "max_iter": 20, "n_estimators": 5, "n_init": 1, "cv": 2}
    settings_used = {
        key: value for key, value in fast.items() if key in known and key not in settings
    }
    return model.set_params(**settings_used)


def _required(cls: type) -> list[str]:
    code = cls.__init__.__code__  # type: ignore[misc]
    count = len(cls.__init__.__defaults__ or ())  # type: ignore[misc]
    names = code.co_varnames[1 : code.co_argcount]
    return list(names[: len(names) - count])


def manifest_for(frame: pd.DataFrame, layout: str, named: bool = True, **more: Any) -> Manifest:
    """Return the manifest of a model that was fitted on `frame`."""
    facts: dict[str, Any] = {
        "model": {},
        "files": (ModelFile("model", "", "joblib", "raw"),),
        "members": (),
        "globals": frozenset(),
        "method": "predict",
        "classes": None,
        "probabilities": False,
    }
    return Manifest(
        **{**facts, **more},
        layout=layout,
        inputs=tuple(map(field_for, frame.columns, map(frame.get, frame.columns))),
        named=named,
    )


def field_for(name: str, column: Any) -> Field:
    """Return the field that inspection finds for a column of the training data."""
    dtype = str(column.dtype)
    if dtype != "category":
        return Field(name, _type(column), bool(column.isna().any()), dtype=dtype)
    categories = column.cat.categories
    values = [str(v.isoformat()) if hasattr(v, "isoformat") else v for v in categories.tolist()]
    nullable = bool(column.isna().any())
    return Field(name, _type(categories), nullable, categories=tuple(values), dtype=dtype)


def _type(values: Any) -> str:
    kinds = pd.api.types
    if kinds.is_bool_dtype(values.dtype):
        return "boolean"
    if kinds.is_datetime64_any_dtype(values.dtype):
        return "datetime"
    if kinds.is_integer_dtype(values.dtype):
        return "integer"
    return "number" if kinds.is_numeric_dtype(values.dtype) else "string"
