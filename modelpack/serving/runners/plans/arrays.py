"""Arithmetic that several families share, in the order of operations of scikit-learn."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from scipy.special import expit  # type: ignore[import-untyped]

from ...columns import DoubtError


def finite(values: np.ndarray) -> np.ndarray:
    """`values`, if all are, and none is beyond 1e150: what is computed of NaN or infinity by sums
    and products is not finite, and the estimator refuses such input.

    Raises:
        DoubtError: one is not.
    """
    if not np.vdot(values, values) < math.inf:  # the cheapest sum that NaN and infinity stay in
        raise DoubtError
    return values


def contiguous(block: Any) -> np.ndarray:
    """`block` in C order, as compiled routines of scikit-learn take it.

    Raises:
        DoubtError: it is not of float64, or no array.
    """
    if type(block) is np.ndarray and block.dtype == np.float64:
        return np.ascontiguousarray(block)
    raise DoubtError


def since(major: int, minor: int) -> bool:
    """Whether the scikit-learn of this process is that release, or a later one."""
    version = str(sys.modules["sklearn"].__version__).split(".")
    return (int(version[0]), int(version[1])) >= (major, minor)


def sigmoid(scores: np.ndarray) -> np.ndarray:
    return np.asarray(expit(scores))


def sigmoid_before_21(scores: np.ndarray) -> np.ndarray:
    """As scikit-learn before 0.21 computed it."""
    return np.asarray(np.reciprocal(np.exp(scores * -1) + 1))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of each row of (n_rows, n_classes), as sklearn.utils.extmath.softmax."""
    powers = np.exp(scores - scores.max(axis=1).reshape((-1, 1)))
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
        DoubtError: a sum is zero, of which releases make different things.
    """
    sums = each.sum(axis=1)
    if not sums.all():
        raise DoubtError
    each /= sums.reshape((-1, 1))
    return each
