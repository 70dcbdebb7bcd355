"""The rows, or the means of rows, that many models keep of their training."""

from __future__ import annotations

import math

from ..arrays import view
from ..nodes import Node
from .columns import Columns
from .parts import Part, attributes

_ROWS = ("_fit_X", "support_vectors_", "cluster_centers_", "centroids_", "X_fit_", "X_train_",
         "means_", "theta_", "sigma_")  # fmt: skip
_MEANS = ("mean_", "xbar_", "_x_mean", "x_mean_", "location_")


def exogenous(part: Part) -> Node:
    """The rows (n_rows, n_features) that results of statsmodels keep of their training."""
    results = attributes(part.get("_results")) or part.attributes
    return attributes(results.get("model")).get("exog")


def kept_rows(part: Part, columns: Columns) -> None:
    """Give the columns the first of the rows as their examples."""
    array = view(exogenous(part) if part.top == "statsmodels" else part.get(*_ROWS))
    row = array.row() if array else None
    values = row or part.floats(*_MEANS) or []
    if len(values) == len(columns) and all(isinstance(v, int | float) for v in values):
        for column, value in zip(columns, values, strict=True):
            is_open = column.type in (None, "number") and not column.changed
            if is_open and column.example is None:
                column.example = float(f"{value:.6g}") if math.isfinite(value) else None
