"""How much each input contributes to the prediction of one row.

Contributions add up to an output of the model: base + sum of contributions = output. Each time,
the sum is compared with the output, so that a model that is read wrongly has no contributions
instead of wrong ones.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, NamedTuple, Sequence

from ..data.columns import Rows
from ..runtimes import estimator
from ..service import Service
from . import boosters, linear, origins, outputs, trees
from .steps import Steps, UnavailableError, steps_of

__all__ = ["METHODS", "OUTPUTS", "Contributions", "Explainer", "UnavailableError"]

log = logging.getLogger("modelpack.serving")

METHODS = ("coefficients", "tree_paths", "shapley")
OUTPUTS = ("prediction", "log_prediction", "probability", "log_odds", "score")
MAX_INPUTS = 10_000
UNREADABLE = "The model could not be read."


class Contributions(NamedTuple):
    """The contributions to an output for one row.

    Attributes:
        method: One of METHODS.
        output: What they add up to, one of OUTPUTS.
        label: The predicted class, None for a regressor.
        base: The output without contributions.
        total: The base and all contributions.
        values: The contribution of each input.
        references: The values of the inputs that give the base, None if it is a mean over the rows
            of the training.
    """

    method: str
    output: str
    label: Any
    base: float
    total: float
    values: Sequence[float]
    references: Sequence[Any] | None


class Explainer:
    """Explains the predictions of a service. The model is read at the first request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._model: Any = None
        self._reason: str | None = None

    def explain(self, rows: Rows) -> Contributions:
        """Return the contributions for one row, which the model predicts.

        Raises:
            UnavailableError: They are not known; the text is the reason.
        """
        if self._reason is not None:
            raise UnavailableError(self._reason)
        if self._model is None:
            try:
                self._model = _contained(_model, self._service)
            except UnavailableError as error:
                self._reason = str(error)
                raise
        found: Contributions = _contained(self._explain, rows)
        return found

    def _explain(self, rows: Rows) -> Contributions:
        sums = self._model.sums(rows)
        output = outputs.matching(self._service, rows, sums, self._model.method == "shapley")
        parts = sums.parts[output.number] * output.sign + 0.0  # no -0.0
        return Contributions(
            self._model.method,
            output.kind,
            output.label,
            float(sums.base[output.number] * output.sign),
            float(sums.totals[output.number] * output.sign),
            parts.tolist(),
            self._model.references,
        )


def _contained(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and raise UnavailableError for every exception of the model."""
    try:
        return estimator.contained(function, *args)
    except UnavailableError:
        raise
    except Exception as error:
        log.info("contributions are not available", exc_info=error)
        raise UnavailableError(UNREADABLE) from error


def _model(service: Service) -> Any:
    """Return the object that computes the contributions of the model of a service."""
    inputs = service.manifest.inputs
    if not inputs:
        raise UnavailableError("The inputs of the model are not known.")
    if len(inputs) > MAX_INPUTS:
        raise UnavailableError(f"The model has more than {MAX_INPUTS:,} inputs.")
    if service.manifest.method != "predict":
        raise UnavailableError("The model transforms rows.")
    steps = steps_of(service.runner, service.manifest)
    kind = _kind(steps)
    columns = origins.trace(steps.transformers, [field.name for field in inputs])
    return kind(steps, columns, service)


def _kind(steps: Steps) -> Callable[..., Any]:
    predictor = steps.predictor
    if boosters.is_booster(predictor):
        if steps.compiler is not None:
            raise UnavailableError("A compiled booster does not contain the sizes of its nodes.")
        return boosters.Booster
    if type(predictor).__name__ in trees.CLASSES:
        return trees.PathModel
    if linear.is_linear(predictor):
        return linear.Linear
    raise UnavailableError("The model is not a linear model, tree, forest or boosting.")
