"""Functions of distributions for records, whose images do not have scipy."""

from __future__ import annotations

import math
from typing import Any, Callable, Sequence

import numpy as np

Bend = Callable[[np.ndarray, float], np.ndarray]

LARGEST_EXPONENT = 709.78
"""The exponential of larger numbers is infinite."""


def normal_quantile(shares: np.ndarray) -> np.ndarray:
    """Return the quantiles of the normal distribution, -inf for 0 and inf for 1.

    They differ from those of scipy, which uses another approximation, by at most 8 ulp.
    """
    # Python 3.7 does not have it, and no records.
    from statistics import NormalDist  # novermin  # noqa: PLC0415

    quantile: Callable[[float], float] = NormalDist().inv_cdf

    def quantile_or_limit(share: float) -> float:
        if 0 < share < 1:
            return quantile(share)
        return {0.0: -math.inf, 1.0: math.inf}.get(share, math.nan)

    return np.array([quantile_or_limit(share) for share in shares.tolist()], np.float64)


def bending(method: str, by_logarithm: bool) -> Bend:
    """Return the power function of a column and its lambda.

    Args:
        method: "box-cox" or "yeo-johnson".
        by_logarithm: The release computes powers by logarithms, as scipy does.
    """
    if method == "box-cox":
        return box_cox
    return yeo_johnson_by_logarithm if by_logarithm else yeo_johnson


def box_cox(column: np.ndarray, power: float) -> np.ndarray:
    """Compute with the functions of the C library, as scipy does."""

    def bend_number(value: float) -> float:
        if value != value or value == math.inf:  # noqa: PLR0124 - NaN
            return value
        if abs(power) < 1e-19:
            return math.log(value)
        exponent = power * math.log(value)
        if exponent < LARGEST_EXPONENT:
            return math.expm1(exponent) / power
        try:
            largest = math.exp(exponent - math.log(abs(power)))
        except OverflowError:
            largest = math.inf
        return math.copysign(1.0, power) * largest - 1 / power

    return np.array([bend_number(value) for value in column.tolist()], np.float64)


def yeo_johnson(column: np.ndarray, power: float) -> np.ndarray:
    return _by_sign(column, power, np.spacing(1.0), _by_power)


def yeo_johnson_by_logarithm(column: np.ndarray, power: float) -> np.ndarray:
    return _by_sign(column, power, float(np.finfo(np.float64).eps), _by_logarithm)


def _by_power(values: np.ndarray, power: float) -> Any:
    return (np.power(values + 1, power) - 1) / power


def _by_logarithm(values: np.ndarray, power: float) -> Any:
    return np.expm1(power * np.log1p(values)) / power


def _by_sign(column: np.ndarray, power: float, eps: float, bend: Bend) -> np.ndarray:
    """Bend the numbers from zero on by `power`, the others by its mirror image."""
    bent: np.ndarray = np.zeros_like(column)
    is_positive = column >= 0
    positive, negative = column[is_positive], -column[~is_positive]
    bent[is_positive] = np.log1p(positive) if abs(power) < eps else bend(positive, power)
    is_linear = not abs(power - 2) > eps
    bent[~is_positive] = -np.log1p(negative) if is_linear else -bend(negative, 2 - power)
    return bent


EULER = 0.5772156649015328606
_ROOT = (1569415565.0 / 1073741824.0, 381566830.0 / 1073741824.0 / 1073741824.0)
_NUMERATOR = (
    *(-0.0020713321167745952, -0.045251321448739056, -0.28919126444774784),
    *(-0.65031853770896507, -0.32555031186804491, 0.25479851061131551),
)
_DENOMINATOR = (
    *(-0.55789841321675513e-6, 0.0021284987017821144, 0.054151797245674225),
    *(0.43593529692665969, 1.4606242909763515, 2.0767117023730469, 1.0),
)
_ASYMPTOTIC = (
    *(1 / 12, -2.10927960927960927961e-2, 7.57575757575757575758e-3),
    *(-1 / 240, 3.96825396825396825397e-3, -1 / 120, 1 / 12),
)


def digamma(values: Any) -> np.ndarray:
    """Return the derivative of the logarithm of the gamma function for positive numbers.

    It has the recurrence and the approximations of scipy, those of Cephes and Boost.
    """
    return np.asarray(np.frompyfunc(_digamma, 1, 1)(np.asarray(values, np.float64)), np.float64)


def _digamma(value: float) -> float:
    if not value > 0:
        raise ValueError("the number is not positive")
    if value <= 10 and value == math.floor(value):
        return sum(1.0 / n for n in range(1, int(value))) - EULER
    total = 0.0
    if value < 1:
        total, value = -1.0 / value, value + 1
    while 2 < value < 10:
        value -= 1
        total += 1.0 / value
    if value <= 2:
        distance = value - _ROOT[0] - _ROOT[1] - 0.9016312093258695918615325266959189453125e-19
        ratio = _polynomial(value - 1, _NUMERATOR) / _polynomial(value - 1, _DENOMINATOR)
        return total + (distance * float(np.float32(0.99558162689208984)) + distance * ratio)
    square = 1.0 / (value * value)
    rest = square * _polynomial(square, _ASYMPTOTIC) if value < 1e17 else 0.0
    return total + (math.log(value) - 0.5 / value - rest)


def _polynomial(value: float, coefficients: Sequence[float]) -> float:
    """Evaluate a polynomial, whose highest coefficient is the first."""
    result = 0.0
    for coefficient in coefficients:
        result = result * value + coefficient
    return result
