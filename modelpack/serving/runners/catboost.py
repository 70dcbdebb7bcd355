"""A model of CatBoost."""

from __future__ import annotations

from typing import Any

from ..columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRunner


class CatBoostRunner(EstimatorRunner):
    """Has CatBoost use one thread, where it would start one for each CPU of the machine."""

    kind = "library"

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return manifest.files[0].format == "catboost" and hasattr(model, manifest.method)

    def call(self, method: str, rows: Rows) -> Any:
        return getattr(self.model, method)(self.arrange(rows), thread_count=1)
