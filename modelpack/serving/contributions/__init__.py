"""How much each input contributes to the prediction of one row.

Contributions add up to an output of the model: base + sum of contributions = output. Each time,
the sum is compared with the output, so that a model that is read wrongly has no contributions
instead of wrong ones.
"""

from __future__ import annotations

from typing import Any

from ..data.columns import Rows
from ..service import Service
from . import models, outputs, words
from .explanation import METHODS, OUTPUTS, Contributions
from .scope import Scope
from .steps import UnavailableError, contained, steps_of

__all__ = ["METHODS", "OUTPUTS", "Contributions", "Explainer", "UnavailableError"]

MAX_INPUTS = 10_000


class Explainer:
    """Explains the predictions of a service. The model is read at the first request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._model: Any = None
        self._reason: str | None = None

    def explain(self, rows: Rows, target: int | None = None) -> Contributions:
        """Return the contributions for one row, which the model predicts.

        Args:
            rows: The row.
            target: The number of an output of several, by default the largest one.

        Raises:
            UnavailableError: They are not known; the text is the reason.
        """
        if self._reason is not None:
            raise UnavailableError(self._reason)
        if self._model is None:
            try:
                self._model = contained(_model, self._service)
            except UnavailableError as error:
                self._reason = str(error)
                raise
        found: Contributions = contained(self._model.explain, rows, target)
        return found


class TableModel:
    """The contributions of the inputs of a model."""

    def __init__(self, service: Service, model: Any) -> None:
        self.model = model
        self._service = service

    def explain(self, rows: Rows, target: int | None) -> Contributions:
        """Return the contributions for one row. `target`: see `Explainer.explain`.

        Raises:
            UnavailableError: They do not add up to an output of the model.
        """
        sums = self.model.sums(rows)
        output = outputs.matching(self._service, rows, sums, self.model.is_short, target)
        parts = sums.parts[output.number] * output.sign + 0.0  # no -0.0
        return Contributions(
            self.model.method,
            output.kind,
            output.label,
            float(sums.base[output.number] * output.sign),
            float(sums.totals[output.number] * output.sign),
            parts.tolist(),
            self.model.references,
            target=output.target,
        )


def _model(service: Service) -> Any:
    """Return the object that computes the contributions of the model of a service."""
    inputs = service.manifest.inputs
    if not inputs:
        raise UnavailableError("The inputs of the model are not known.")
    if len(inputs) > MAX_INPUTS:
        raise UnavailableError(f"The model has more than {MAX_INPUTS:,} inputs.")
    if service.manifest.method != "predict":
        raise UnavailableError("The model transforms rows.")
    if words.is_text(service):
        return words.TextModel(service)
    steps = steps_of(service.runner, service.manifest)
    return TableModel(service, Scope(service, models.build).model(steps))
