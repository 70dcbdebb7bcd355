"""Arithmetic that several families share, in the order of operations of scikit-learn."""

from __future__ import annotations

import numpy as np

from ...columns import DoubtError

PAIRED = 8
"""Numbers from which on numpy adds those that lie side by side in another order than others: then
it matters to sums over columns whether a row is alone."""


def finite(values: np.ndarray) -> np.ndarray:
    """`values`, if all are: what is computed of NaN or infinity by sums and products is none, and
    the estimator refuses such input.

    Raises:
        DoubtError: one is not.
    """
    if not np.isfinite(values).all():
        raise DoubtError
    return values


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of each row of (n_rows, n_classes), as sklearn.utils.extmath.softmax."""
    powers = np.exp(scores - np.max(scores, axis=1).reshape((-1, 1)))
    powers /= np.sum(powers, axis=1).reshape((-1, 1))
    return np.asarray(powers)
