"""A model by its compiled plan, and by the estimator where the plan has doubts."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ...columns import DoubtError, Rows
from ...manifest import Manifest
from ...matrices import narrowed
from ..estimator import EstimatorRunner
from . import Plan
from .compiler import Part


class PlannedRunner(EstimatorRunner):
    """As `runner`, whose model it is, but by `plan`.

    Attributes:
        whole_order: memory order of the matrix that the plan gets of an array of integers: F as
            made of a DataFrame; C, in which numpy casts integers before it multiplies them; None
            if neither has been compared with the estimator.
    """

    kind = "plan"
    merges = True

    def __init__(self, runner: EstimatorRunner, plan: Plan, manifest: Manifest) -> None:
        self.__dict__.update(runner.__dict__)
        self.whole_order: str | None = None
        self._estimator = runner
        self._plan = plan
        self._layout = manifest.layout
        self._fields = manifest.inputs
        self._nones = [i for i, field in enumerate(manifest.inputs) if field.missing_none]

    def call(self, method: str, rows: Rows) -> Any:
        try:
            return self.together(method, rows)
        except DoubtError:
            return self._estimator.call(method, rows)

    def together(self, method: str, rows: Rows) -> Any:
        """What the plan gives for rows that came together.

        Raises:
            DoubtError: it has doubts, and `call` would ask the estimator.
        """
        return self._planned(self._plan.together, method, rows)

    def each(self, method: str, rows: Rows) -> Any:
        """What the plan gives for each of `rows` as if it were asked alone.

        Raises:
            DoubtError: it has doubts about one.
        """
        return self._planned(self._plan.each, method, rows)

    def _planned(self, part: Part, method: str, rows: Rows) -> Any:
        if method not in part:
            raise DoubtError
        try:
            return part[method](self.block(rows))
        except DoubtError:
            raise
        except Exception as error:  # the estimator knows what is wrong with these rows
            raise DoubtError from error

    def block(self, rows: Rows) -> Any:
        """`rows` as parts of a plan take them: an array of objects as its columns.

        Raises:
            DoubtError: the model takes numbers, and they are not; or what is missing has to be
                None, which no plan knows.
        """
        if self._nones and any(_has_missing(rows, place) for place in self._nones):
            raise DoubtError
        if self._layout == "frame":
            return narrowed(rows, self._fields)
        if isinstance(rows, list) and self._layout == "array" and _are_objects(rows):
            return [column.astype(object) for column in rows]
        block = self.arrange(rows)
        if not isinstance(block, np.ndarray) or block.dtype == np.float64:
            return block
        if block.dtype.kind not in "fiu":
            raise DoubtError
        if block.dtype.kind == "f":
            return block.astype(np.float64)
        if self.whole_order is None:
            raise DoubtError
        return block.astype(np.float64, order="C" if self.whole_order == "C" else "K")


def _has_missing(rows: Rows, place: int) -> bool:
    column = rows[:, place] if isinstance(rows, np.ndarray) else rows[place]
    return bool((column != column).any())  # NaN  # noqa: PLR0124


def _are_objects(columns: Sequence[np.ndarray]) -> bool:
    """Whether the array that an estimator gets of these columns is one of objects."""
    return any(column.dtype.kind not in "fib" for column in columns)
