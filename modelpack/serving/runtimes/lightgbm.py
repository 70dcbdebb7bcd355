"""LightGBM."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection

import numpy as np

from ..data.columns import CategoryCodes, Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime


class LightGBMRuntime(EstimatorRuntime):
    """Encodes categories as LightGBM does in a DataFrame: an unknown category is NaN."""

    kind = "library"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(model, manifest)
        self._codes = CategoryCodes(manifest.inputs, unknown=np.nan)

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        return manifest.format == "lightgbm" and bool(model.pandas_categorical)

    def call(self, method: str, rows: Rows) -> Any:
        return getattr(self.model, method)(self.encoded(rows))

    def encoded(self, rows: Rows) -> np.ndarray:
        """Return rows as float64 (n_rows, n_inputs) with codes of categories."""
        return self._codes.matrix(rows)


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    import lightgbm  # noqa: PLC0415 - a library that only these files need

    return lightgbm.Booster(model_str=stream.read().decode("utf-8"))
