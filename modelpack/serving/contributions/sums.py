"""Contributions as numbers: a base, and what each input adds to it."""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

import numpy as np


class Sums(NamedTuple):
    """The contributions to the outputs of a model for one row.

    Attributes:
        base: (n_outputs,)
        parts: (n_outputs, n_inputs)
        inverse: Function from totals to predictions, if the target was transformed.
    """

    base: np.ndarray
    parts: np.ndarray
    inverse: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def totals(self) -> np.ndarray:
        """The base and all contributions of each output."""
        return np.asarray(self.base + self.parts.sum(axis=1))


def by_input(parts: np.ndarray, sources: Sequence[int], width: int) -> np.ndarray:
    """Add up the contributions of columns (n_outputs, n_columns) that come from the same input."""
    sums = np.zeros((len(parts), width))
    np.add.at(sums.T, np.asarray(sources, np.intp), parts.T)
    return sums
