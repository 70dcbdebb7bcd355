"""Models that combine others: means of their predictions, and one model for each output."""

from __future__ import annotations

import time
from typing import Any, Sequence

import numpy as np

from ..data.columns import Rows
from .origins import Column
from .scope import Scope
from .steps import Steps, Subset, UnavailableError, member
from .sums import Sums

MAX_SECONDS = 1.0
"""Time after which no further member is explained."""


class Mean:
    """The mean of the predictions or probabilities of members: bagging and voting."""

    def __init__(self, steps: Steps, _columns: Sequence[Column], scope: Scope) -> None:
        """Read the members.

        Raises:
            UnavailableError: They vote, their probabilities do not add up, or they are not known.
        """
        predictor = steps.predictor
        if getattr(predictor, "voting", "soft") != "soft":
            raise UnavailableError("The model counts votes.")
        members = [
            member(steps, each, *before)
            for each, *before in zip(predictor.estimators_, *_subsets(predictor))
        ]
        self._models = [scope.model(each) for each in members]
        self._weights = _weights(predictor)
        self._codes: list[Any] = [slice(None)] * len(members)
        self._count = 0
        self.is_probability = type(predictor).__name__.endswith("Classifier")
        if self.is_probability:
            if not all(each.is_probability for each in self._models):
                raise UnavailableError("The probabilities are means of those of other than trees.")
            self._count = len(predictor.classes_)
            self._codes = [_codes(each) for each in predictor.estimators_]
        self.is_short = any(each.is_short for each in self._models)

    @property
    def method(self) -> str:
        """The method of the members, "mixed" if they have several."""
        methods = {each.method for each in self._models}
        return methods.pop() if len(methods) == 1 else "mixed"

    @property
    def references(self) -> Any:
        """The reference of the linear members, which is the same for all."""
        return next((each.references for each in self._models if each.references), None)

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each output for one row.

        Raises:
            UnavailableError: It takes too long.
        """
        base: Any = 0
        parts: Any = 0
        for weight, codes, each in zip(self._weights, self._codes, _in_time(self._models)):
            sums = each.sums(rows)
            base = base + weight * self._expanded(sums.base, codes)
            parts = parts + weight * self._expanded(sums.parts, codes)
        return Sums(base, parts)

    def _expanded(self, values: np.ndarray, codes: Any) -> np.ndarray:
        """Return the values of all classes. A member may know some of them."""
        if not self._count:
            return values
        result = np.zeros((self._count, *values.shape[1:]))
        result[codes] = values
        return result


def _codes(classifier: Any) -> Any:
    """Return the numbers of the classes that a member knows."""
    codes = getattr(classifier, "classes_", None)
    return slice(None) if codes is None else np.asarray(codes, np.intp)


def _subsets(predictor: Any) -> list[Any]:
    """Return the steps that select the columns of the members, if each has its own."""
    positions = getattr(predictor, "estimators_features_", None)
    return [] if positions is None else [[Subset(each) for each in positions]]


def _weights(predictor: Any) -> np.ndarray:
    count = len(predictor.estimators_)
    weights = getattr(predictor, "weights", None)
    if weights is None:
        return np.full(count, 1 / count)
    pairs = zip(predictor.estimators, weights)
    used = [weight for (_, each), weight in pairs if not (each is None or isinstance(each, str))]
    shares: np.ndarray = np.asarray(used, np.float64) / np.sum(used)
    return shares


def _in_time(models: Sequence[Any]) -> Any:
    until = time.monotonic() + MAX_SECONDS
    for each in models:
        if time.monotonic() > until:
            raise UnavailableError(f"The members take more than {MAX_SECONDS:g} s.")
        yield each


class Separate:
    """A model for each output, or for each class against all others."""

    is_probability = False

    def __init__(self, steps: Steps, _columns: Sequence[Column], scope: Scope) -> None:
        """Read the models of the outputs.

        Raises:
            UnavailableError: They are not known.
        """
        self._models = [scope.model(member(steps, each)) for each in steps.predictor.estimators_]
        self.is_short = any(each.is_short for each in self._models)
        self.method = self._models[0].method
        self.references = self._models[0].references

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each output for one row.

        Raises:
            UnavailableError: It takes too long, or a model has several outputs.
        """
        sums = [each.sums(rows) for each in _in_time(self._models)]
        if any(len(each.base) != 1 for each in sums):
            raise UnavailableError("The scores of the classes do not add up.")
        base = np.concatenate([each.base for each in sums])
        return Sums(base, np.concatenate([each.parts for each in sums]))
