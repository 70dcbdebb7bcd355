"""Arithmetic in scikit-learn's order of operations."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .compiler import Compiler
from .records import is_record
from .sparse import is_sparse

PAIRED = 8
"""Number of contiguous values from which numpy adds them in another order than strided values. Sums
over so many columns depend on whether a row is the only one."""


def finite(values: np.ndarray) -> np.ndarray:
    """Return `values` if they are finite.

    Sums and products of NaN or infinity are not finite, and the estimator rejects such input.

    Raises:
        FallbackRequiredError: A value is NaN or infinite.
    """
    # The cheapest sum that preserves NaN and infinity. It overflows from 1e154 on.
    if not np.vdot(values, values) < math.inf and not np.isfinite(values).all():
        raise FallbackRequiredError
    return values


def contiguous(block: Any) -> np.ndarray:
    """Return `block` in C order, for compiled routines of scikit-learn.

    Raises:
        FallbackRequiredError: It is not an array of float64.
    """
    if type(block) is np.ndarray and block.dtype == np.float64:
        return np.ascontiguousarray(block)
    raise FallbackRequiredError


def row_by_row(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls `function` for each row alone."""

    def call(rows: Any, *more: Any) -> np.ndarray:
        rows = np.ascontiguousarray(rows)
        return np.concatenate([function(rows[n : n + 1], *more) for n in range(len(rows))])

    return call


def product(compiler: Compiler, major: int, minor: int) -> Callable[[Any, Any], Any]:
    """Return the product of rows and a matrix as an estimator computes it.

    Before the given release of scikit-learn the estimator used `numpy.dot`, which calls another
    routine of BLAS for a part of a larger matrix.
    """
    dot = compiler.dot
    if compiler.since(major, minor):
        return dot
    by_numpy = row_by_row(np.dot) if compiler.row_by_row else np.dot
    return lambda rows, matrix: (dot if is_sparse(rows) else by_numpy)(rows, matrix)


def expit_of(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the logistic function, that of scipy for a live estimator."""
    if is_record(model):
        return expit
    from scipy import special  # type: ignore[import-untyped]  # noqa: PLC0415 - absent for records

    return special.expit  # type: ignore[no-any-return]


def expit(scores: np.ndarray) -> np.ndarray:
    """Compute the logistic function with the exponential of the C library, as scipy does.

    The exponential of numpy has other last bits.
    """
    with np.errstate(over="ignore"):  # `math.exp` sets the flag that numpy checks
        return np.asarray(_EXPIT(scores), np.float64)


def _expit_of_number(score: float) -> float:
    try:
        return 1.0 / (1.0 + math.exp(-score))
    except OverflowError:
        return 0.0


_EXPIT = np.frompyfunc(_expit_of_number, 1, 1)


def sigmoid(compiler: Compiler, model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the logistic function of a release of scikit-learn.

    Before 0.21 it called `numpy.exp` in place, whose result for a single number differs.
    """
    if compiler.since(0, 21):
        return expit_of(model)
    return row_by_row(sigmoid_of_numpy) if compiler.row_by_row else sigmoid_of_numpy


def sigmoid_of_numpy(scores: np.ndarray) -> np.ndarray:
    powers = scores * -1
    np.exp(powers, powers)
    powers += 1
    return np.asarray(np.reciprocal(powers, powers))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Compute the softmax of each row as `sklearn.utils.extmath.softmax` does."""
    powers = scores - scores.max(axis=1).reshape((-1, 1))
    np.exp(powers, powers)
    powers /= powers.sum(axis=1).reshape((-1, 1))
    return np.asarray(powers)


def both_classes(positive: np.ndarray) -> np.ndarray:
    """Return the probabilities of both classes, (n_rows, 2) in Fortran order."""
    return np.asarray(np.vstack([1 - positive, positive]).T)


def both_classes_in_c(positive: np.ndarray) -> np.ndarray:
    """Return the same as `both` in C order. The order decides how they are added up."""
    pair = np.empty((len(positive), 2))
    np.subtract(1, positive, out=pair[:, 0])
    pair[:, 1] = positive
    return pair


def normalized(values: np.ndarray, is_uniform: bool = False) -> np.ndarray:
    """Divide each row of (n_rows, n_classes) by its sum, in place.

    With `is_uniform`, rows of zeros become equal probabilities.

    Raises:
        FallbackRequiredError: A sum is zero. The result then depends on the release.
    """
    sums = values.sum(axis=1)
    if not sums.all():
        if not is_uniform:
            raise FallbackRequiredError
        values[sums == 0], sums[sums == 0] = 1.0, values.shape[1]
    values /= sums.reshape((-1, 1))
    return values
