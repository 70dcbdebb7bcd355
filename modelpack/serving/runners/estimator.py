"""The estimator itself, called as its author would call it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..columns import Rows
from ..manifest import Manifest


class EstimatorRunner:
    """Of any scikit-learn-like estimator. `kind`: what predicts, the estimator, its library or a
    compiled plan; `told`: why, in a few words. `merges`: `each` may be asked for rows of several
    requests. `quick_rows`: it answers so many before anybody would notice that others wait.
    """

    kind = "estimator"
    told = "no plan was asked for"
    merges = False
    quick_rows = 0

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.classes = getattr(model, "classes_", manifest.classes)
        """The labels, in the order of the probabilities."""
        self.names = [field.name for field in manifest.inputs]
        self.arrange = {
            "array": _array,
            "frame": self._frame,
            "text": _listed,
            "dicts": _listed,
        }[manifest.layout]

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return hasattr(model, manifest.method)

    def can(self, method: str) -> bool:
        """Whether the model has `method` as it was fitted."""
        return hasattr(self.model, method)

    def call(self, method: str, rows: Rows) -> Any:
        """What the model's `method` gives for `rows`: an array, sparse matrix, DataFrame, or a list
        of arrays, of n_rows each. Whatever the model raises passes through.
        """
        return getattr(self.model, method)(self.arrange(rows))

    def together(self, method: str, rows: Rows) -> Any:
        """As `call`, or DoubtError where that would have to do more than is planned."""
        return self.call(method, rows)

    def each(self, method: str, rows: Rows) -> Any:
        """What `method` gives for each of `rows` as if it were asked alone; DoubtError as in
        `together`. Of those that merge.
        """
        return self.call(method, rows)

    def _frame(self, rows: Rows) -> Any:
        import pandas as pd  # noqa: PLC0415 - only models that were fitted on a frame have it

        if isinstance(rows, np.ndarray):
            return pd.DataFrame(_writeable(rows), columns=self.names)
        columns = (pd.Series(column, dtype=column.dtype) for column in rows)
        return pd.DataFrame(dict(zip(self.names, columns)))


def _array(rows: Rows) -> np.ndarray:
    if isinstance(rows, np.ndarray):
        return _writeable(rows)
    if all(column.dtype.kind in "fib" for column in rows):
        return np.column_stack(rows).astype(np.float64, copy=False)
    return np.column_stack([column.astype(object) for column in rows])


def _listed(rows: Rows) -> list[Any]:
    """Texts, or dicts."""
    values: list[Any] = rows[0].tolist()
    return values


def _writeable(rows: np.ndarray) -> np.ndarray:
    """A model may write into its rows, as StandardScaler(copy=False) does, and compiled code of
    older releases takes none that are read-only: rows that lie in the body of a request are copied.
    """
    return rows if rows.flags.writeable else rows.copy()
