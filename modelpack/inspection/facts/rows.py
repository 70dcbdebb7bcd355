"""The rows, or the means of rows, that many models keep of their training."""

from __future__ import annotations

import math

from ..arrays import view
from ..nodes import Node
from .columns import Columns
from .frames import axes
from .parts import Part, attributes

_ROWS = ("_fit_X", "support_vectors_", "cluster_centers_", "centroids_", "X_fit_", "X_train_",
         "means_", "theta_", "sigma_")  # fmt: skip
_MOST_ROWS = 20
_MEANS = ("mean_", "xbar_", "_x_mean", "x_mean_", "location_")


def exogenous(part: Part) -> Node:
    """The rows (n_rows, n_features) that results of statsmodels keep of their training."""
    results = attributes(part.get("_results")) or part.attributes
    return attributes(results.get("model")).get("exog")


def exogenous_names(part: Part) -> list[str] | None:
    """The names of the columns of a DataFrame that statsmodels was given."""
    results = attributes(part.get("_results")) or part.attributes
    data = attributes(attributes(results.get("model")).get("data"))
    columns = axes(data.get("orig_exog"))
    array = view(columns[0]) if len(columns) == 2 else None
    names = (array.values() if array else None) or []
    return names if names and all(isinstance(name, str) for name in names) else None


def kept_rows(part: Part, columns: Columns) -> None:
    """Give the columns values of the first rows as their examples."""
    array = view(exogenous(part) if part.top == "statsmodels" else part.get(*_ROWS))
    rows = array.rows(_MOST_ROWS) if array else []
    for row in [*rows, part.floats(*_MEANS) or []]:
        if len(row) == len(columns) and all(isinstance(v, int | float) for v in row):
            for column, value in zip(columns, row, strict=True):
                is_open = column.type in (None, "number") and not column.changed
                if is_open and column.example is None and math.isfinite(value):
                    column.example = float(f"{value:.6g}")
