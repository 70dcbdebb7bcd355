"""A Booster of LightGBM that was trained on a DataFrame with categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..categories import Numbering
from ..columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRunner


class LightGBMRunner(EstimatorRunner):
    """Gives each category its number and an unknown one none, as LightGBM does in a DataFrame."""

    kind = "library"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        super().__init__(model, manifest)
        self._numbering = Numbering(manifest.inputs, unknown=np.nan)

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return manifest.files[0].format == "lightgbm" and bool(model.pandas_categorical)

    def call(self, method: str, rows: Rows) -> Any:
        return getattr(self.model, method)(self._numbering.matrix(rows))
