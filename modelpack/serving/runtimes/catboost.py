"""CatBoost."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection

from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime


class CatBoostRuntime(EstimatorRuntime):
    """Calls CatBoost with one thread; its default is one for each CPU of the machine."""

    kind = "library"

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        return manifest.format == "catboost" and hasattr(model, manifest.method)

    def call(self, method: str, rows: Rows) -> Any:
        return self.call_transformed(method, self.arrange(rows))

    def call_transformed(self, method: str, values: Any) -> Any:
        return getattr(self.model, method)(values, thread_count=1)


CLASSES = ("CatBoostClassifier", "CatBoostRegressor", "CatBoost")
"""`CatBoost` is the class of models whose predictions are raw values."""


def load(stream: BinaryIO, names: Collection[str]) -> Any:
    """Load the model as an object of the first of CLASSES that is in `names`."""
    import catboost  # noqa: PLC0415 - a library that only these files need

    name = next(name for name in CLASSES if f"catboost.core:{name}" in names)
    return getattr(catboost, name)().load_model(blob=stream.read())
