"""B-splines of inputs."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import finite
from .blocks import matrix, no_infinity
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError

Function = Callable[[Any], Any]


class _Spline:
    """The knots, the coefficients and the degree of a record of scipy's BSpline."""

    def __init__(self, spline: Any) -> None:
        self.k = int(spline.k)
        # The names have an underscore since scipy 1.15.
        self.t = np.asarray(spline._t if hasattr(spline, "_t") else spline.t, np.float64)
        self.c = np.asarray(spline._c if hasattr(spline, "_c") else spline.c, np.float64)
        if self.c.ndim != 2 or not 0 <= self.k < len(self.c) == len(self.t) - self.k - 1:
            raise ValueError("the numbers of knots and coefficients do not match")


def spline_transformer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if getattr(model, "sparse_output", False):
        raise UnplannedError("SplineTransformer returns sparse columns")
    splines, kind, degree = model.bsplines_, model.extrapolation, int(model.degree)
    if degree < 1 and kind in ("constant", "linear"):
        raise UnplannedError("SplineTransformer has splines of degree 0")
    takes_nan = getattr(model, "handle_missing", "error") == "zeros"  # since 1.8
    splines = [_Spline(each) for each in splines]
    width = splines[0].c.shape[1]
    kept = slice(None) if model.include_bias else slice(0, width - 1)
    functions = []
    for spline in splines:
        functions.append(_extended(spline, kind, degree))
        # The estimator raises the degree in its loop over the inputs.
        degree += kind == "linear" and degree <= 1

    def transform(block: Any) -> np.ndarray:
        rows = no_infinity(matrix(block)) if takes_nan else finite(matrix(block))
        if rows.shape[1] != len(functions):
            raise FallbackRequiredError
        return np.concatenate([_values(*each)[:, kept] for each in zip(functions, rows.T)], axis=1)

    return {"transform": transform}


def _values(function: Function, column: np.ndarray) -> np.ndarray:
    """Return the splines of one input, zeros for missing values."""
    missing = np.isnan(column)
    values = np.asarray(function(np.where(missing, 0.0, column) if missing.any() else column))
    values[missing] = 0
    return values


def _extended(spline: _Spline, kind: str, degree: int) -> Function:
    """Return the function of a column that also knows numbers beyond the knots."""
    knots, last = spline.t, len(spline.t) - spline.k - 1
    if kind == "continue":
        return lambda column: evaluate(spline, column)
    if kind == "periodic":
        first, period = knots[spline.k], knots[last] - knots[spline.k]
        if not period > 0:
            raise UnplannedError("SplineTransformer has a period of 0")
        return lambda column: evaluate(spline, first + (column - first) % period)
    if kind == "error":
        low, high = knots[spline.k], knots[last]

        def within(column: np.ndarray) -> np.ndarray:
            if (column < low).any() or (column > high).any():
                raise FallbackRequiredError
            return evaluate(spline, column)

        return within
    low, high = knots[degree], knots[-degree - 1]
    extend = {"constant": _constant, "linear": _linear}[kind](spline, degree, low, high)

    def extended(column: np.ndarray) -> np.ndarray:
        values = np.zeros((len(column), spline.c.shape[1]))
        is_inside = (low <= column) & (column <= high)
        values[is_inside] = evaluate(spline, column[is_inside])
        extend(column, values)
        return values

    return extended


def _constant(spline: _Spline, degree: int, low: float, high: float) -> Callable[..., None]:
    first, last = evaluate(spline, np.array([low, high]))

    def extend(column: np.ndarray, values: np.ndarray) -> None:
        values[column < low, :degree] = first[:degree]
        values[column > high, -degree:] = last[-degree:]

    return extend


def _linear(spline: _Spline, degree: int, low: float, high: float) -> Callable[..., None]:
    first, last = evaluate(spline, np.array([low, high]))
    first_slope, last_slope = evaluate(spline, np.array([low, high]), is_slope=True)
    count = degree + 1 if degree <= 1 else degree

    def extend(column: np.ndarray, values: np.ndarray) -> None:
        below, above = column < low, column > high
        for index in range(count):
            values[below, index] = first[index] + (column[below] - low) * first_slope[index]
            end = len(last) - 1 - index
            values[above, end] = last[end] + (column[above] - high) * last_slope[end]

    return extend


def evaluate(spline: _Spline, column: np.ndarray, is_slope: bool = False) -> np.ndarray:
    """Return the values of all splines, or their slopes, (n_rows, n_splines).

    The recurrence of de Boor has the order of operations of scipy.
    """
    knots, coefficients, degree = spline.t, spline.c, spline.k
    last = len(knots) - degree - 2
    spans = np.clip(np.searchsorted(knots, column, side="right") - 1, degree, last)
    weights = [np.ones(len(column))]
    for step in range(1, degree + 1):
        is_derived = is_slope and step == degree
        weights = _next_weights(knots, column, spans, weights, is_derived)
    values = np.zeros((len(column), coefficients.shape[1]))
    for index, weight in enumerate(weights):
        values += coefficients[spans - degree + index] * weight[:, np.newaxis]
    return values


def _next_weights(
    knots: np.ndarray,
    column: np.ndarray,
    spans: np.ndarray,
    weights: list[np.ndarray],
    is_derived: bool,
) -> list[np.ndarray]:
    """Return the values of the splines of the next degree, or of their derivatives."""
    degree = len(weights)
    result = [np.zeros(len(column)) for _ in range(degree + 1)]
    for index, weight in enumerate(weights):
        high, low = knots[spans + index + 1], knots[spans + index + 1 - degree]
        length = high - low
        is_empty = length == 0
        share = (degree * weight if is_derived else weight) / np.where(is_empty, 1.0, length)
        share[is_empty] = 0
        result[index] += -share if is_derived else share * (high - column)
        result[index + 1] = share if is_derived else share * (column - low)
    return result


COMPILERS: Compilers = {"SplineTransformer": RecordsOnly(spline_transformer)}
