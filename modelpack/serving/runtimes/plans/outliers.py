"""Detectors of outliers by distances."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .arithmetic import contiguous, finite
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .libsvm import in_order
from .linear import scores
from .neighbors import Search


def local_outlier_factor(model: Any, compiler: Compiler) -> Part:
    if not model.novelty:
        raise UnplannedError("LocalOutlierFactor was fitted without novelty=True")
    count = int(model.n_neighbors_)
    search, densities = Search(model, compiler), np.asarray(model._lrd)
    find, reach = search.nearest(count), np.asarray(model._distances_fit_X_)[:, count - 1]

    def decide(block: Any) -> np.ndarray:
        numbers, lengths = find(search.rows(block))
        reached = np.maximum(lengths, reach[numbers])
        density = 1.0 / (np.mean(reached, axis=1) + 1e-10)
        return np.asarray(
            -np.mean(densities[numbers] / density[:, np.newaxis], axis=1) - model_offset
        )

    model_offset = model.offset_
    return _detector(decide)


def _detector(decide: Callable[[Any], np.ndarray]) -> Part:
    return {
        "predict": lambda block: np.where(decide(block) < 0, -1, 1),
        "decision_function": decide,
    }


def elliptic_envelope(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    """Compare Mahalanobis distances, which are added up in order, with an offset."""
    centre, precision, offset = model.location_, model.precision_, model.offset_
    if precision is None:
        raise UnplannedError("EllipticEnvelope does not store its precision")
    matrix = np.asarray(precision)

    def decide(block: Any) -> np.ndarray:
        differences = finite(contiguous(block)) - centre
        products = in_order(differences[:, np.newaxis, :] * matrix)
        lengths = np.sqrt(in_order(differences * products))
        return np.asarray(-(lengths**2) - offset)

    return _detector(decide)


def linear_detector(model: Any, compiler: Compiler) -> Part:
    """Decide as SGDOneClassSVM."""
    part, offset = scores(_Shifted(model), compiler), model.offset_
    return _detector(lambda block: np.asarray(part(block).ravel() - offset))


class _Shifted:
    """The coefficients of a detector, which has an offset in place of an intercept."""

    def __init__(self, model: Any) -> None:
        self.coef_, self.intercept_ = np.asarray(model.coef_).reshape(1, -1), 0.0


COMPILERS: Compilers = {
    "EllipticEnvelope": RecordsOnly(elliptic_envelope),
    "LocalOutlierFactor": RecordsOnly(local_outlier_factor),
    "SGDOneClassSVM": RecordsOnly(linear_detector),
}
