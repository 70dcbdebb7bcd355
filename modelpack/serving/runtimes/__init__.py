"""The tables `LOADERS` and `RUNTIMES`."""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, Callable, Collection, cast

from ..data.columns import Rows
from ..errors import StartupError
from ..manifest import Manifest
from . import catboost, keras, lightgbm, onnx, python_model, torch, xgboost
from .catboost import CatBoostRuntime
from .estimator import CompiledModel, EstimatorRuntime
from .keras import KerasRuntime
from .lightgbm import LightGBMRuntime
from .native_chain import NativeChain, NativeChainRuntime
from .onnx import OnnxRuntime
from .torch import TorchRuntime
from .xgboost import XGBoostRuntime

log = logging.getLogger("modelpack.serving")

RUNTIMES: tuple[type[EstimatorRuntime], ...] = (
    LightGBMRuntime,
    XGBoostRuntime,
    CatBoostRuntime,
    OnnxRuntime,
    TorchRuntime,
    KerasRuntime,
    EstimatorRuntime,
)
"""The runtime of a model that is neither compiled nor a native model behind transformers."""


def select_runtime(model: Any, manifest: Manifest) -> EstimatorRuntime:
    """Return the first runtime that supports `model`.

    Raises:
        StartupError: The model lacks the method that the manifest names.
    """
    if isinstance(model, NativeChain):
        return NativeChainRuntime(model, manifest, select_runtime)
    if isinstance(model, CompiledModel):
        from .compiled import CompiledRuntime  # noqa: PLC0415 - imports all plans

        return CompiledRuntime(model, manifest)
    for runtime in RUNTIMES:
        if runtime.supports(model, manifest):
            return runtime(model, manifest)
    raise StartupError(f"the model in the file has no method {manifest.method}.")


def select_plan(
    runtime: EstimatorRuntime, manifest: Manifest, decode: Callable[[list[Any]], Rows]
) -> EstimatorRuntime:
    """Return a planned runtime if a plan equals the model on all trial rows, otherwise `runtime`.

    The attribute `reason` of the result explains the choice. `decode` converts rows from JSON.
    """
    if isinstance(runtime.model, CompiledModel):
        cast("Any", runtime).measure(manifest, decode)
        return runtime
    if type(runtime) is not EstimatorRuntime:
        runtime.reason = "the library of the model predicts"
        return runtime
    if find_spec("sklearn") is None:
        runtime.reason = "the model is not from scikit-learn"
        return runtime
    from .plans.compiler import UnplannedError  # noqa: PLC0415 - needs scikit-learn
    from .plans.runtime import accept_plan  # noqa: PLC0415

    try:
        planned = accept_plan(runtime, manifest, decode)
    except UnplannedError as error:
        runtime.reason = str(error)
    except Exception:
        runtime.reason = "the plan failed on trial rows"
        log.exception(runtime.reason)
    else:
        log.info("a compiled plan predicts: %s", planned.reason)
        return planned
    log.info("the estimator itself predicts: %s", runtime.reason)
    return runtime


def _load(module: str, loader: str, stream: BinaryIO, names: Collection[str]) -> Any:
    """Call a loader whose module is imported only for its format.

    `compiled.py` imports all plans, and images of compiled models do not contain `pickle.py`.
    """
    return getattr(import_module(f"{__name__}.{module}"), loader)(stream, names)


LOADERS: dict[str, Callable[[BinaryIO, Collection[str]], Any]] = {
    "pickle": partial(_load, "pickle", "load_pickle"),
    "joblib": partial(_load, "pickle", "load_joblib"),
    "skops": partial(_load, "pickle", "load_skops"),
    "lightgbm": lightgbm.load,
    "xgboost": xgboost.load,
    "catboost": catboost.load,
    "onnx": onnx.load,
    "torch-export": torch.load_exported,
    "torchscript": torch.load_script,
    "keras": keras.load,
    "keras-h5": keras.load,
    "compiled": partial(_load, "compiled", "load"),
    "mlflow-script": python_model.load_script,
}
"""Format -> function of the decompressed stream and the "module:name" that the file may look up.

A loader raises StartupError for any other name.
"""
