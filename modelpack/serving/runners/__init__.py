"""How a prediction is computed, one file a way; the first that takes the model does it."""

from __future__ import annotations

from typing import Any

from ..errors import CannotStartError
from ..manifest import Manifest
from .catboost import CatBoostRunner
from .estimator import EstimatorRunner
from .lightgbm import LightGBMRunner
from .onnx import OnnxRunner
from .xgboost import XGBoostRunner

RUNNERS: tuple[type[EstimatorRunner], ...] = (
    LightGBMRunner,
    XGBoostRunner,
    CatBoostRunner,
    OnnxRunner,
    EstimatorRunner,
)


def choose(model: Any, manifest: Manifest) -> EstimatorRunner:
    """The runner for `model`.

    Raises:
        CannotStartError: the model cannot do what its manifest says.
    """
    for runner in RUNNERS:
        if runner.takes(model, manifest):
            return runner(model, manifest)
    raise CannotStartError(f"the model in the file has no {manifest.method}.")
