"""What scikit-learn's preprocessing steps tell of each column that goes in.

Each function tells the columns, and returns whether they come out one by one, with what is missing
still missing or filled in.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..arrays import scalar, view
from ..nodes import Node, Obj
from .columns import Column, Columns, is_nan, rounded
from .parts import Part, attributes

_SAME_VARIANCE = 1e-9


def fills_nan(part: Part) -> bool:
    """Whether NaN is what the imputer replaces."""
    missing = scalar(part.attributes.get("missing_values"))
    return missing in (None, "NaN") or is_nan(missing)


def fills_none(part: Part) -> bool:
    """Whether None is what the imputer replaces."""
    return "missing_values" in part.attributes and part.attributes["missing_values"] is None


def _imputer(part: Part, columns: Columns) -> bool:
    array = view(part.get("statistics_"))
    values = array.values() if array else None
    if values is None or len(values) != len(columns):
        return False
    for column, value in zip(columns, values, strict=True):
        column.nullable = fills_nan(part)
        column.missing_none |= fills_none(part)
        if isinstance(value, str):
            column.type, column.example = column.type or "string", value
        elif isinstance(value, int | float) and column.example is None and math.isfinite(value):
            column.example = rounded(value)
    is_whole = all(v is not None and not is_nan(v) for v in values)  # else a column is left out
    return is_whole and not part.get("add_indicator")


def _encoder(part: Part, columns: Columns) -> bool:
    lists = part.get("categories_")
    for column, node in zip(columns, lists if isinstance(lists, list) else [], strict=False):
        array = view(node)
        if array and array.dtype.kind == "M":
            column.date()
            continue
        column.category((array.values() if array else None) or ())
        if array and column.type == "boolean":  # some releases cannot compare the two dtypes
            column.dtype = column.dtype or ("bool" if array.dtype.kind == "b" else "object")
    return False


def _centred(centre: str, spread: str) -> Callable[[Part, Columns], bool]:
    """`spread`: the variances, by which a column of zeros and ones is known."""

    def told(part: Part, columns: Columns) -> bool:
        centres, spreads = part.floats(centre), part.floats(spread)
        if centres is not None and len(centres) == len(columns):
            spreads = spreads if spreads and len(spreads) == len(centres) else [-1.0] * len(centres)
            for column, c, s in zip(columns, centres, spreads, strict=True):
                is_flag = 0 < c < 1 and abs(s - c * (1 - c)) < _SAME_VARIANCE
                column.number(example=round(c) if is_flag else c)
                if is_flag and column.type == "number" and not column.changed:
                    column.example = float(round(c))
        return _changed(columns)

    return told


def _bounded(low: str, high: str) -> Callable[[Part, Columns], bool]:
    def told(part: Part, columns: Columns) -> bool:
        lows, highs = part.floats(low), part.floats(high)
        if lows is not None and highs is not None and len(lows) == len(highs) == len(columns):
            for column, a, b in zip(columns, lows, highs, strict=True):
                column.between(a, b)
        return _changed(columns)

    return told


def _max_abs(part: Part, columns: Columns) -> bool:
    for column, peak in zip(columns, part.floats("max_abs_") or [], strict=False):
        column.number(example=peak / 2, high=peak)
    return _changed(columns)


def _bins(part: Part, columns: Columns) -> bool:
    edges = view(part.get("bin_edges_"))
    for column, node in zip(columns, (edges and edges.items) or [], strict=False):
        between(column, node)
    return False


def _splines(part: Part, columns: Columns) -> bool:
    """Beyond the first and last of the knots lie as many as the degree."""
    splines, degree = part.get("bsplines_"), part.number("degree") or 0
    for column, node in zip(columns, splines if isinstance(splines, list) else [], strict=False):
        spline = attributes(node) or attributes(_stands_for(node))
        between(column, spline.get("t", spline.get("_t")), degree)
    return False


def _stands_for(node: Node) -> Node:
    """The spline inside a spline, as scipy pickles it since 1.18."""
    state = node.states[0] if isinstance(node, Obj) and node.states else None
    return state[0] if isinstance(state, tuple) and state else None


def _quantiles(part: Part, columns: Columns) -> bool:
    array = view(part.get("quantiles_"))
    values = array.values() if array else None
    if not array or not values or len(array.shape) != 2 or array.shape[1] != len(columns):
        return _changed(columns)
    rows, width = array.shape
    for index, column in enumerate(columns):
        cells = values[index * rows : (index + 1) * rows] if array.fortran else values[index::width]
        if all(isinstance(cell, float) for cell in cells):
            column.number(example=cells[rows // 2], low=cells[0], high=cells[-1])
    return _changed(columns)


def _isotonic(part: Part, columns: Columns) -> bool:
    low, high = scalar(part.get("X_min_")), scalar(part.get("X_max_"))
    if len(columns) == 1 and isinstance(low, float) and isinstance(high, float):
        columns[0].between(low, high)
    return False


def between(column: Column, node: Node, margin: int = 0) -> None:
    """The column lies between the first and last value of an array, `margin` values left out."""
    array = view(node)
    values = ((array.values() if array else None) or [])[margin : -margin or None]
    if len(values) > 1 and all(isinstance(v, float) for v in values):
        column.between(values[0], values[-1])


def _power(_: Part, columns: Columns) -> bool:
    return _changed(columns)


def _changed(columns: Columns) -> bool:
    """They come out one by one, as other numbers."""
    for column in columns:
        column.changed = True
    return True


TRANSFORMERS: dict[str, Callable[[Part, Columns], bool]] = {
    "SimpleImputer": _imputer,
    "Imputer": _imputer,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "StandardScaler": _centred("mean_", "var_"),
    "RobustScaler": _centred("center_", ""),
    "MinMaxScaler": _bounded("data_min_", "data_max_"),
    "MaxAbsScaler": _max_abs,
    "KBinsDiscretizer": _bins,
    "SplineTransformer": _splines,
    "QuantileTransformer": _quantiles,
    "PowerTransformer": _power,
    "IsotonicRegression": _isotonic,
}
