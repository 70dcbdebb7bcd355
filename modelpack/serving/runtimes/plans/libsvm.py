"""The predictions of libsvm for records, whose images do not have its compiled code.

Numbers are added up in the order of libsvm, exponentials are those of the C library, and products
of two rows are computed by the BLAS routine `ddot`. Results have the same bits if numpy and scipy
contain the same BLAS, as their wheels do.

See "LIBSVM: a library for support vector machines" by Chang and Lin.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Tuple

import numpy as np

from .compiler import Compiler

Function = Callable[[Any], Any]
Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
Sigmoids = Tuple[np.ndarray, np.ndarray]
"""Slopes and shifts of the sigmoid of each pair of classes."""

BLOCK = 1 << 20
"""Numbers of an array of differences; more rows are computed in several steps."""
BY_BLAS = (0, 24)
"""First version of scikit-learn whose libsvm calls BLAS."""
LEAST = 1e-7
"""Least probability of one of two classes."""

_exp = np.frompyfunc(math.exp, 1, 1)
_tanh = np.frompyfunc(math.tanh, 1, 1)


def decision(model: Any, compiler: Compiler) -> Function:
    """Return the decision function of a model, with a column for each pair of classes."""
    vectors, kernel = np.ascontiguousarray(model.support_vectors_), kernel_of(model, compiler)
    weights, intercepts = model._dual_coef_, model._intercept_
    sizes = fitted(model, "n_support") if hasattr(model, "classes_") else None
    parts = [(weights[0], slice(None))] if sizes is None else _pairs(weights, sizes)
    step = max(1, BLOCK // max(1, vectors.size))

    def decide(rows: np.ndarray) -> np.ndarray:
        values = kernel(rows, vectors)
        sums = [in_order(values[:, chosen] * weight) for weight, chosen in parts]
        return np.asarray(np.column_stack(sums) + intercepts)

    def decide_all(rows: np.ndarray) -> np.ndarray:
        starts = range(0, max(1, len(rows)), step)
        return np.concatenate([decide(rows[start : start + step]) for start in starts])

    return decide_all


def _pairs(weights: np.ndarray, sizes: Any) -> list[tuple[np.ndarray, Any]]:
    """Return the weights and the support vectors of each pair of classes."""
    ends = np.cumsum(sizes)
    numbers = [np.arange(end - size, end) for end, size in zip(ends, sizes)]
    return [
        (
            np.concatenate([weights[other - 1, numbers[one]], weights[one, numbers[other]]]),
            np.concatenate([numbers[one], numbers[other]]),
        )
        for one in range(len(sizes))
        for other in range(one + 1, len(sizes))
    ]


def fitted(model: Any, name: str) -> Any:
    """Return a fitted attribute, which had a public name in old releases."""
    return getattr(model, f"_{name}") if hasattr(model, f"_{name}") else getattr(model, f"{name}_")


def in_order(values: np.ndarray) -> np.ndarray:
    """Add up each row (n_rows, n), one number after the other."""
    if not values.shape[-1]:
        return np.zeros(values.shape[:-1])
    return np.asarray(np.add.accumulate(values, axis=-1)[..., -1] + 0.0)


def kernel_of(model: Any, compiler: Compiler) -> Kernel:
    """Return the kernel: a function of rows and support vectors, (n_rows, n_vectors)."""
    gamma, shift, degree = model._gamma, model.coef0, model.degree
    dot = _dot if compiler.since(*BY_BLAS) else _dot_in_order

    def radial(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        differences = rows[:, np.newaxis] - vectors
        return np.asarray(_exp(-gamma * dot(differences, differences)), np.float64)

    def polynomial(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        return power(gamma * dot(rows[:, np.newaxis], vectors) + shift, degree)

    def sigmoid(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        return np.asarray(_tanh(gamma * dot(rows[:, np.newaxis], vectors) + shift), np.float64)

    def linear(rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        return dot(rows[:, np.newaxis], vectors)

    kernels = {"linear": linear, "poly": polynomial, "rbf": radial, "sigmoid": sigmoid}
    return kernels[model.kernel]


def _dot(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # Numpy calls `ddot` for products of a row and a column.
    return np.asarray(np.matmul(one[..., np.newaxis, :], other[..., np.newaxis])[..., 0, 0])


def _dot_in_order(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return in_order(one * other)


def power(base: np.ndarray, exponent: int) -> np.ndarray:
    """Multiply repeatedly, as libsvm does."""
    result, factor = np.ones_like(base), base
    while exponent > 0:
        if exponent % 2 == 1:
            result = result * factor
        factor = factor * factor
        exponent //= 2
    return result


def most_votes(pairs: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the class that wins most decisions of pairs, the first of several."""
    votes = np.zeros((len(pairs), n_classes))
    pair = 0
    for one in range(n_classes):
        for other in range(one + 1, n_classes):
            is_first = pairs[:, pair] > 0
            votes[:, one] += is_first
            votes[:, other] += ~is_first
            pair += 1
    return np.asarray(votes.argmax(axis=1))


def probabilities(pairs: np.ndarray, sigmoids: Sigmoids, n_classes: int) -> np.ndarray:
    """Convert the decisions of pairs to the probabilities of the classes."""
    slopes, shifts = sigmoids
    wins = np.zeros((n_classes, n_classes, len(pairs)))
    pair = 0
    for one in range(n_classes):
        for other in range(one + 1, n_classes):
            chance = _sigmoid(pairs[:, pair] * slopes[pair] + shifts[pair])
            wins[one, other] = np.minimum(np.maximum(chance, LEAST), 1 - LEAST)
            wins[other, one] = 1 - wins[one, other]
            pair += 1
    return coupled(wins)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    powers = np.asarray(_exp(-np.abs(values)), np.float64)
    return np.where(values >= 0, powers, 1.0) / (1.0 + powers)


def coupled(wins: np.ndarray) -> np.ndarray:
    """Return the probabilities (n_rows, n_classes) that agree best with those of pairs.

    It is the second method of "Probability estimates for multi-class classification by pairwise
    coupling" by Wu, Lin and Weng, with the stopping rule and the order of sums of libsvm.

    Args:
        wins: The probability of each class against each other one, (n_classes, n_classes, n_rows).
    """
    n_classes, _, n_rows = wins.shape
    shares: np.ndarray = np.full((n_classes, n_rows), 1.0 / n_classes)
    matrix = -wins.transpose(1, 0, 2) * wins
    for one in range(n_classes):
        others = [other for other in range(n_classes) if other != one]
        squares = wins[others, one] * wins[others, one]
        matrix[one, one] = np.add.accumulate(squares, axis=0)[-1]
    active = np.arange(n_rows)
    for _ in range(max(100, n_classes)):
        current, chosen = matrix[:, :, active], shares[:, active]
        products = np.add.accumulate(current * chosen, axis=1)[:, -1]
        total = np.add.accumulate(chosen * products, axis=0)[-1]
        is_open = ~(np.abs(products - total).max(axis=0) < 0.005 / n_classes)
        active = active[is_open]
        if not len(active):
            break
        shares[:, active] = _improved(
            chosen[:, is_open], current[:, :, is_open], products[:, is_open], total[is_open]
        )
    return np.asarray(np.ascontiguousarray(shares.T))


def _improved(
    shares: np.ndarray, matrix: np.ndarray, products: np.ndarray, total: np.ndarray
) -> np.ndarray:
    """Return better shares after a change of each of them in turn."""
    for one in range(len(shares)):
        own = matrix[one, one]
        change = (-products[one] + total) / own
        shares[one] += change
        scale = 1 + change
        total = (total + change * (change * own + 2 * products[one])) / scale / scale
        products = (products + change * matrix[one]) / scale
        shares /= scale
    return shares
