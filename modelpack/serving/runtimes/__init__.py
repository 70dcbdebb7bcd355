"""The tables `LOADERS` and `RUNTIMES`."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any, Callable

from ..data.columns import Rows
from ..errors import StartupError
from ..manifest import Manifest
from . import catboost, lightgbm, onnx, pickle, xgboost
from .catboost import CatBoostRuntime
from .estimator import EstimatorRuntime
from .lightgbm import LightGBMRuntime
from .onnx import OnnxRuntime
from .xgboost import XGBoostRuntime

log = logging.getLogger("modelpack.serving")

RUNTIMES: tuple[type[EstimatorRuntime], ...] = (
    LightGBMRuntime,
    XGBoostRuntime,
    CatBoostRuntime,
    OnnxRuntime,
    EstimatorRuntime,
)


def select_runtime(model: Any, manifest: Manifest) -> EstimatorRuntime:
    """The runner for `model`.

    Raises:
        StartupError: the model cannot do what its manifest says.
    """
    for runner in RUNTIMES:
        if runner.takes(model, manifest):
            return runner(model, manifest)
    raise StartupError(f"the model in the file has no {manifest.method}.")


def select_plan(
    runner: EstimatorRuntime, manifest: Manifest, decode: Callable[[list[Any]], Rows]
) -> EstimatorRuntime:
    """The runner by a compiled plan, if the model has one that gives its very bits on trial rows;
    else `runner`, which knows why. `decode`: makes rows of what JSON has.
    """
    if type(runner) is not EstimatorRuntime:
        runner.told = "it is the model's own library"
        return runner
    if find_spec("sklearn") is None:
        runner.told = "it is no model of scikit-learn"
        return runner
    from .plans.compiler import UnplannedError  # noqa: PLC0415 - only where scikit-learn is
    from .plans.runtime import accept_plan  # noqa: PLC0415

    try:
        fast = accept_plan(runner, manifest, decode)
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


# `stream` is what the file holds, decompressed but for archives; `names` are the "module:name"
# that it may look up. StartupError: it names another.
LOADERS = {
    "pickle": pickle.load_pickle,
    "joblib": pickle.load_joblib,
    "skops": pickle.load_skops,
    "lightgbm": lightgbm.load,
    "xgboost": xgboost.load,
    "catboost": catboost.load,
    "onnx": onnx.load,
}
