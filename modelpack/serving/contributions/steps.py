"""The transformers and the predictor of a loaded model, and the values between them."""

from __future__ import annotations

import logging
import operator
from typing import Any, Callable, NamedTuple, Sequence

import numpy as np

from ..data.columns import Rows
from ..manifest import Manifest
from ..runtimes import estimator
from ..runtimes.estimator import Chain, CompiledModel, EstimatorRuntime
from ..runtimes.native_chain import NativeChain
from ..runtimes.wrappers import Configured, Labelled

log = logging.getLogger("modelpack.serving")

MAX_VALUES = 1_000_000
"""Values of two transformed rows. A sparse matrix of texts may have more."""


class UnavailableError(Exception):
    """The contributions of this model or row are not known. The text is the reason."""


def contained(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and raise UnavailableError for every exception of the model."""
    try:
        return estimator.contained(function, *args)
    except UnavailableError:
        raise
    except Exception as error:
        log.info("contributions are not available", exc_info=error)
        raise UnavailableError("The model could not be read.") from error


class Steps(NamedTuple):
    """A model as a sequence.

    Attributes:
        transformers: The steps that the rows pass through, in order.
        predictor: The last step.
        transformed: Function that converts rows to what the predictor gets.
        compiler: The compiler of the plans of a compiled model, otherwise None.
    """

    transformers: Sequence[Any]
    predictor: Any
    transformed: Callable[[Rows], Any]
    compiler: Any = None


def steps_of(runner: EstimatorRuntime, manifest: Manifest) -> Steps:
    """Return the steps of the model of a runtime.

    Raises:
        UnavailableError: Its rows are dicts.
    """
    if manifest.layout == "dicts":
        raise UnavailableError("The rows of the model are dicts.")
    *transformers, predictor = _flat(runner.model)
    if isinstance(runner.model, CompiledModel):
        return _compiled(runner, manifest, transformers, predictor)

    def transformed(rows: Rows) -> Any:
        values = runner.arrange(rows)
        for each in transformers:
            values = each.transform(values)
        return values

    return Steps(transformers, predictor, transformed)


def _compiled(
    runner: Any, manifest: Manifest, transformers: Sequence[Any], predictor: Any
) -> Steps:
    from ..runtimes.plans import COMPILERS, pipelines  # noqa: PLC0415 - many modules
    from ..runtimes.plans.compiler import Compiler, Context  # noqa: PLC0415

    names = [field.name for field in manifest.inputs]
    context = Context(manifest.layout, names, runner.model.release)
    compiler = Compiler(COMPILERS, context, operator.matmul)
    parts = [{"transform": pipelines.transform(each, compiler)} for each in transformers]
    if parts and manifest.layout == "frame":
        parts[0] = pipelines.for_columns(transformers[0], parts[0])

    def transformed(rows: Rows) -> Any:
        values = runner.block(rows)
        for part in parts:
            values = part["transform"](values)
        return values

    return Steps(transformers, predictor, transformed, compiler)


def _flat(model: Any) -> list[Any]:
    """Return the steps of a model that may consist of other models."""
    if isinstance(model, CompiledModel):
        return _flat(model.root)
    if isinstance(model, (Labelled, Configured)):
        return _flat(model.model)
    if isinstance(model, NativeChain):
        return [*_all_flat(model.transformers), *_flat(model.native)]
    if isinstance(model, Chain):
        return _all_flat(model.members)
    if type(model).__name__ == "Pipeline":
        return _all_flat([step for _, step in model.steps if not is_passthrough(step)])
    best = getattr(model, "best_estimator_", None)
    return [model] if best is None else _flat(best)


def _all_flat(models: Sequence[Any]) -> list[Any]:
    return [step for each in models for step in _flat(each)]


def is_passthrough(step: Any) -> bool:
    return step is None or (isinstance(step, str) and step == "passthrough")


def dense(values: Any) -> np.ndarray:
    """Return transformed rows as an array (n_rows, n_columns) of numbers.

    Raises:
        UnavailableError: They are too many.
    """
    if isinstance(values, list):
        values = np.column_stack(values)
    rows, width = values.shape
    if rows * width > MAX_VALUES:
        raise UnavailableError(f"The steps give more than {MAX_VALUES:,} values.")
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float64)
