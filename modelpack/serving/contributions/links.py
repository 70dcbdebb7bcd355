"""Models whose predictions are functions of those of another one."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..data.columns import Rows
from .origins import Column
from .scope import Scope
from .steps import Steps, Transform, UnavailableError, member
from .sums import Sums

AFFINE = {"MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"}
"""Transformers of a target whose inverse multiplies and adds."""


class TransformedTarget:
    """A regressor of a transformed target."""

    is_probability = False

    def __init__(self, steps: Steps, _columns: Sequence[Column], scope: Scope) -> None:
        """Read the regressor and the transformation.

        Raises:
            UnavailableError: The contributions of the regressor are not known.
        """
        predictor = steps.predictor
        is_wrapper = hasattr(predictor, "transformer_")
        model = predictor.regressor_ if is_wrapper else predictor.model
        transformer = predictor.transformer_ if is_wrapper else predictor.transformer
        self._model = scope.model(member(steps, model))
        self._inverse = _inverse(transformer, steps.compiler is not None)
        self._is_affine = type(transformer).__name__ in AFFINE
        self.method = self._model.method
        self.is_short = self._model.is_short
        self.references = self._model.references

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each output for one row, before the inverse if need be."""
        base, parts, _ = self._model.sums(rows)
        if not self._is_affine:
            return Sums(base, parts, self._back)
        zero = self._back(np.zeros_like(base))
        slopes = self._back(np.ones_like(base)) - zero
        return Sums(zero + slopes * base, slopes[:, np.newaxis] * parts)

    def _back(self, totals: np.ndarray) -> np.ndarray:
        return np.ravel(np.asarray(self._inverse(totals.reshape(1, -1)), np.float64))


def _inverse(transformer: Any, is_compiled: bool) -> Transform:
    if not is_compiled:
        inverse: Transform = transformer.inverse_transform
        return inverse
    from ..runtimes.plans.meta import inverse_of  # noqa: PLC0415 - many modules

    return inverse_of(transformer)


class Calibrated:
    """A classifier of two classes whose log odds are a multiple of the score of another one."""

    is_probability = False

    def __init__(self, steps: Steps, _columns: Sequence[Column], scope: Scope) -> None:
        """Read the classifier and its calibration.

        Raises:
            UnavailableError: There are several classifiers, more classes, or another calibration.
        """
        members = steps.predictor.calibrated_classifiers_
        if len(members) != 1:
            raise UnavailableError("The calibrated probabilities are means of several models.")
        (each,) = members
        calibrators = getattr(each, "calibrators", None) or each.calibrators_  # until 0.23
        is_sigmoid = type(calibrators[0]).__name__ == "_SigmoidCalibration"
        if len(calibrators) != 1 or not is_sigmoid:
            raise UnavailableError("The calibration is not a sigmoid of one score.")
        self._slope, self._shift = -float(calibrators[0].a_), -float(calibrators[0].b_)
        model = getattr(each, "estimator", None) or each.base_estimator  # until 1.1
        self._model = scope.model(member(steps, model))
        self.method = self._model.method
        self.is_short = self._model.is_short
        self.references = self._model.references

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to the log odds for one row."""
        base, parts, _ = self._model.sums(rows)
        return Sums(self._slope * base[-1:] + self._shift, self._slope * parts[-1:])
