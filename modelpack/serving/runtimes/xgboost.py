"""XGBoost."""

from __future__ import annotations

import inspect
from threading import Lock
from typing import Any, BinaryIO, Collection

import numpy as np

from ..data.columns import CategoryCodes, Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime


class XGBoostRuntime(EstimatorRuntime):
    """Calls XGBoost from one thread at a time, because not every release is thread-safe.

    A model that XGBClassifier saved returns labels and probabilities. A model that any estimator
    for scikit-learn saved predicts with the trees up to its best iteration.
    """

    kind = "library"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(model, manifest)
        model.set_param({"nthread": 1})
        kinds = getattr(model, "feature_types", None)
        self._kinds = {"feature_types": kinds} if kinds and "c" in kinds else {}
        self._trees = _best_trees(model)
        self._is_classifier = manifest.probabilities
        self._codes = CategoryCodes(manifest.inputs)
        self._lock = Lock()

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        kind = type(model)
        is_booster = (kind.__module__, kind.__name__) == ("xgboost.core", "Booster")
        return (manifest.format == "xgboost" or is_booster) and hasattr(model, manifest.method)

    def has_method(self, method: str) -> bool:
        if method == "predict_proba":
            return self._is_classifier
        return super().has_method(method)

    def call(self, method: str, rows: Rows) -> Any:
        return self.call_matrix(method, self.encoded(rows))

    def encoded(self, rows: Rows) -> np.ndarray:
        """Return rows as float64 (n_rows, n_inputs) with codes of categories."""
        return self._codes.matrix(rows)

    def call_transformed(self, method: str, values: Any) -> Any:
        """Return the result of `method` for the result of a transformer.

        Raises:
            ValueError: It has another number of columns. XGBoost would take the others as missing.
        """
        width = self.model.num_features() if hasattr(self.model, "num_features") else None
        if width is not None and values.shape[1] != width:
            raise ValueError(f"the model takes {width} values per row, not {values.shape[1]}")
        return self.call_matrix(method, values)

    def call_matrix(self, method: str, values: np.ndarray) -> Any:
        """Return the result of `method` for float64 (n_rows, n_inputs) with codes of categories."""
        result = self.predict_matrix(values)
        if not self._is_classifier:
            return result
        if method == "predict_proba":
            return result if result.ndim > 1 else np.vstack((1.0 - result, result)).T
        return result.argmax(axis=1) if result.ndim > 1 else (result > 0.5).astype(np.int64)

    def predict_matrix(self, values: np.ndarray, **options: bool) -> Any:
        """Return what the booster predicts for the rows of `call_matrix`, with its `options`."""
        from xgboost import DMatrix  # noqa: PLC0415 - the library of this model alone

        matrix = DMatrix(values, nthread=1, **self._kinds)
        with self._lock:
            return self.model.predict(matrix, validate_features=False, **self._trees, **options)


def _best_trees(model: Any) -> dict[str, Any]:
    """Return the arguments of `predict` that select the trees up to the best iteration.

    A Booster that was trained without an estimator for scikit-learn uses all trees.
    """
    best = model.attr("best_iteration") if model.attr("scikit_learn") else None
    if best is None:
        return {}
    if "iteration_range" in inspect.signature(model.predict).parameters:
        return {"iteration_range": (0, int(best) + 1)}
    limit = model.attr("best_ntree_limit")  # before XGBoost 1.4
    return {"ntree_limit": int(limit)} if limit else {}


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    import xgboost  # noqa: PLC0415 - a library that only these files need

    return xgboost.Booster(model_file=bytearray(stream.read()))
