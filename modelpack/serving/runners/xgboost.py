"""A Booster of XGBoost, which predicts a DMatrix."""

from __future__ import annotations

from threading import Lock
from typing import Any

from ..categories import Numbering
from ..columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRunner


class XGBoostRunner(EstimatorRunner):
    """One thread at a time: not every release predicts in several without mixing them up."""

    kind = "library"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(model, manifest)
        model.set_param({"nthread": 1})
        kinds = getattr(model, "feature_types", None)
        self._kinds = {"feature_types": kinds} if kinds and "c" in kinds else {}
        self._numbering = Numbering(manifest.inputs)
        self._lock = Lock()

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return manifest.files[0].format == "xgboost" and hasattr(model, manifest.method)

    def call(self, method: str, rows: Rows) -> Any:
        from xgboost import DMatrix  # noqa: PLC0415 - the library of this model alone

        matrix = DMatrix(self._numbering.matrix(rows), nthread=1, **self._kinds)
        with self._lock:
            return getattr(self.model, method)(matrix, validate_features=False)
