"""CatBoost."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection

from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime


class CatBoostRuntime(EstimatorRuntime):
    """Has CatBoost use one thread, where it would start one for each CPU of the machine."""

    kind = "library"

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return manifest.files[0].format == "catboost" and hasattr(model, manifest.method)

    def call(self, method: str, rows: Rows) -> Any:
        return getattr(self.model, method)(self.arrange(rows), thread_count=1)


CLASSES = ("CatBoostClassifier", "CatBoostRegressor", "CatBoost")
"""The last for models of neither kind, whose predictions are raw values."""


def load(stream: BinaryIO, names: Collection[str]) -> Any:
    """The model in the file, as the one of CLASSES that stands in `names`."""
    import catboost  # noqa: PLC0415 - a library that only these files need

    name = next(name for name in CLASSES if f"catboost.core:{name}" in names)
    return getattr(catboost, name)().load_model(blob=stream.read())
