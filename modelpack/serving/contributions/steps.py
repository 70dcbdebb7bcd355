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


Transform = Callable[[Any], Any]


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
        functions: Function that returns the transforms of steps, and whether they are the first.
        compiler: The compiler of the plans of a compiled model, otherwise None.
    """

    transformers: Sequence[Any]
    predictor: Any
    transformed: Callable[[Rows], Any]
    functions: Callable[[Sequence[Any], bool], Sequence[Transform]]
    compiler: Any = None

    def call(self, method: str, rows: Rows) -> Any:
        """Return the result of a method of the predictor."""
        values = self.transformed(rows)
        if self.compiler is None:
            return getattr(self.predictor, method)(values)
        part = self.compiler.part(self.predictor)
        return part[method](np.column_stack(values) if isinstance(values, list) else values)


class Subset:
    """A step that selects columns."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = [int(position) for position in positions]

    def transform(self, values: Any) -> Any:
        is_frame = isinstance(values, list) or hasattr(values, "columns")
        return (dense(values) if is_frame else values)[:, self.positions]


def steps_of(runner: EstimatorRuntime, manifest: Manifest) -> Steps:
    """Return the steps of the model of a runtime.

    Raises:
        UnavailableError: Its rows are dicts.
    """
    if manifest.layout == "dicts":
        raise UnavailableError("The rows of the model are dicts.")
    if isinstance(runner.model, CompiledModel):
        start = _compiled(runner, manifest)
    else:
        start = Steps((), None, runner.arrange, _live_functions)
    return member(start, runner.model)


def member(steps: Steps, model: Any, *before: Any) -> Steps:
    """Return the steps of a model that gets what the predictor of `steps` gets.

    Args:
        steps: The steps of the model that contains this one.
        model: The model.
        before: Steps between both.
    """
    own, predictor = _divided(model)
    added = [*before, *own]
    functions = steps.functions(added, not steps.transformers)
    transformed = (
        _remembered(_chained(steps.transformed, functions)) if added else steps.transformed
    )
    return steps._replace(
        transformers=[*steps.transformers, *added], predictor=predictor, transformed=transformed
    )


def _live_functions(added: Sequence[Any], _is_first: bool) -> Sequence[Transform]:
    return [each.transform for each in added]


def _compiled(runner: Any, manifest: Manifest) -> Steps:
    from ..runtimes.plans import COMPILERS, pipelines  # noqa: PLC0415 - many modules
    from ..runtimes.plans.compiler import Compiler, Context  # noqa: PLC0415

    names = [field.name for field in manifest.inputs]
    context = Context(manifest.layout, names, runner.model.release)
    compiler = Compiler(COMPILERS, context, operator.matmul)

    def functions(added: Sequence[Any], is_first: bool) -> Sequence[Transform]:
        found: list[Transform] = []
        for step in added:
            if isinstance(step, Subset):
                found.append(step.transform)
                continue
            part = {"transform": pipelines.transform(step, compiler)}
            if is_first and not found and manifest.layout == "frame":
                part = pipelines.for_columns(step, part)
            found.append(part["transform"])
        return found

    return Steps((), None, runner.block, functions, compiler)


def _chained(first: Transform, functions: Sequence[Transform]) -> Transform:
    def transformed(rows: Rows) -> Any:
        values = first(rows)
        for function in functions:
            values = function(values)
        return values

    return transformed


def _remembered(function: Transform) -> Transform:
    """Return a function that keeps its last result, for the members of an ensemble."""
    last: tuple[Any, Any] = (None, None)

    def call(rows: Rows) -> Any:
        nonlocal last
        known, values = last
        if known is not rows:
            values = function(rows)
            last = (rows, values)
        return values

    return call


PASSING = {
    "FixedThresholdClassifier": "estimator_",
    "FrozenEstimator": "estimator",
    "RANSACRegressor": "estimator_",
    "SelfTrainingClassifier": "estimator_",
    "TunedThresholdClassifierCV": "estimator_",
}
"""Classes that predict with another model -> attribute that contains it."""


def _divided(model: Any) -> tuple[list[Any], Any]:
    """Return the transformers and the predictor of a model."""
    *transformers, predictor = _flat(model)
    if type(predictor).__name__ not in ("RFE", "RFECV"):
        return transformers, predictor
    more, last = _divided(predictor.estimator_)
    return [*transformers, predictor, *more], last


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
    name = PASSING.get(type(model).__name__, "best_estimator_")
    best = getattr(model, name, None)
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
