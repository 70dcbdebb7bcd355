"""How a prediction is computed, one file a way; the first that takes the model does it."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any, Callable

from ..columns import Rows
from ..errors import CannotStartError
from ..manifest import Manifest
from .catboost import CatBoostRunner
from .estimator import EstimatorRunner
from .lightgbm import LightGBMRunner
from .onnx import OnnxRunner
from .xgboost import XGBoostRunner

log = logging.getLogger("modelpack.serving")

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


def fastest(
    runner: EstimatorRunner, manifest: Manifest, decode: Callable[[list[Any]], Rows]
) -> EstimatorRunner:
    """The runner by a compiled plan, if the model has one that gives its very bits on trial rows;
    else `runner`, which knows why. `decode`: makes rows of what JSON has.
    """
    if type(runner) is not EstimatorRunner:
        runner.told = "it is the model's own library"
        return runner
    if find_spec("sklearn") is None:
        runner.told = "it is no model of scikit-learn"
        return runner
    from .plans.compiler import UnplannedError  # noqa: PLC0415 - only where scikit-learn is
    from .plans.trial import planned  # noqa: PLC0415

    try:
        fast = planned(runner, manifest, decode)
    except UnplannedError as error:
        runner.told = str(error)
    except Exception:
        runner.told = "the plan failed when it was tried"
        log.exception(runner.told)
    else:
        log.info("a compiled plan predicts, which gave %s", fast.told)
        return fast
    log.info("the estimator itself predicts: %s", runner.told)
    return runner
