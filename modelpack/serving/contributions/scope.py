"""What the models that predict together in one service share."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from ..service import Service
from .origins import Column
from .references import Reference, reference_of
from .steps import Steps


class Scope:
    """The service of some models, and the row that all their contributions are relative to.

    A model has these attributes: `method`, one of METHODS; `references`, the values of the inputs
    that give the base, or None; `is_short`, whether its numbers have 32 bits; `is_probability`,
    whether it adds up to probabilities. Its `sums(rows)` returns the contributions for one row.
    """

    def __init__(self, service: Service, build: Callable[[Steps, Scope], Any]) -> None:
        self.service = service
        self._build = build
        self._reference: Reference | None = None

    def model(self, steps: Steps) -> Any:
        """Return the model that computes the contributions of the predictor of some steps.

        Raises:
            UnavailableError: No method computes them.
        """
        return self._build(steps, self)

    def reference(self, columns: Sequence[Column]) -> Reference:
        """Return the reference of all linear models, which is that of the first one.

        Raises:
            UnavailableError: An input has no known value.
        """
        if self._reference is None:
            self._reference = reference_of(columns, self.service)
        return self._reference
