"""Arithmetic in scikit-learn's order of operations."""

from __future__ import annotations

import math
import sys
from typing import Any, Callable

import numpy as np
from scipy.sparse import issparse  # type: ignore[import-untyped]
from scipy.special import expit  # type: ignore[import-untyped]

from ...data.columns import FallbackRequiredError
from .compiler import Compiler

PAIRED = 8
"""Numbers from which on numpy adds those that lie side by side in another order than others: then
it matters to sums over columns whether a row is alone."""


def finite(values: np.ndarray) -> np.ndarray:
    """`values`, if all are, and none is beyond 1e150: what is computed of NaN or infinity by sums
    and products is not finite, and the estimator refuses such input.

    Raises:
        FallbackRequiredError: one is not.
    """
    if not np.vdot(values, values) < math.inf:  # the cheapest sum that NaN and infinity stay in
        raise FallbackRequiredError
    return values


def contiguous(block: Any) -> np.ndarray:
    """`block` in C order, as compiled routines of scikit-learn take it.

    Raises:
        FallbackRequiredError: it is not of float64, or no array.
    """
    if type(block) is np.ndarray and block.dtype == np.float64:
        return np.ascontiguousarray(block)
    raise FallbackRequiredError


def since(major: int, minor: int) -> bool:
    """Whether the scikit-learn of this process is that release, or a later one."""
    version = str(sys.modules["sklearn"].__version__).split(".")
    return (int(version[0]), int(version[1])) >= (major, minor)


def row_by_row(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of rows, and perhaps more, for each of them alone."""

    def call(rows: Any, *more: Any) -> np.ndarray:
        rows = np.ascontiguousarray(rows)
        return np.concatenate([function(rows[n : n + 1], *more) for n in range(len(rows))])

    return call


def product(compiler: Compiler, major: int, minor: int) -> Callable[[Any, Any], Any]:
    """How an estimator multiplies rows by a matrix that has done it by numpy.dot before that
    release of scikit-learn: numpy then calls BLAS otherwise for a part of a larger matrix.
    """
    dot = compiler.dot
    if since(major, minor):
        return dot
    by_numpy = row_by_row(np.dot) if compiler.row_by_row else np.dot
    return lambda rows, matrix: (dot if issparse(rows) else by_numpy)(rows, matrix)


def sigmoid(compiler: Compiler) -> Callable[[np.ndarray], np.ndarray]:
    """Of scores; before scikit-learn 0.21 by numpy, whose exp is another for a single number in
    place.
    """
    if since(0, 21):
        return expit  # type: ignore[no-any-return]
    return row_by_row(sigmoid_of_numpy) if compiler.row_by_row else sigmoid_of_numpy


def sigmoid_of_numpy(scores: np.ndarray) -> np.ndarray:
    powers = scores * -1
    np.exp(powers, powers)
    powers += 1
    return np.asarray(np.reciprocal(powers, powers))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of each row of (n_rows, n_classes), as sklearn.utils.extmath.softmax."""
    powers = scores - scores.max(axis=1).reshape((-1, 1))
    np.exp(powers, powers)
    powers /= powers.sum(axis=1).reshape((-1, 1))
    return np.asarray(powers)


def both(positive: np.ndarray) -> np.ndarray:
    """Probabilities of one class and the other, (n_rows, 2) in Fortran's order, of (n_rows,)."""
    return np.asarray(np.vstack([1 - positive, positive]).T)


def both_in_c(positive: np.ndarray) -> np.ndarray:
    """As `both`, in C's order: it tells in which order others add them up."""
    pair = np.empty((len(positive), 2))
    np.subtract(1, positive, out=pair[:, 0])
    pair[:, 1] = positive
    return pair


def normalized(each: np.ndarray) -> np.ndarray:
    """(n_rows, n_classes), divided by the sum of each row, in place.

    Raises:
        FallbackRequiredError: a sum is zero, of which releases make different things.
    """
    sums = each.sum(axis=1)
    if not sums.all():
        raise FallbackRequiredError
    each /= sums.reshape((-1, 1))
    return each
