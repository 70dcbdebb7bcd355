"""Distances between rows and the rows of a training, in the order of sums of scikit-learn."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping, NamedTuple

import numpy as np

from .arithmetic import product
from .compiler import Compiler, UnplannedError

Distances = Callable[[np.ndarray], np.ndarray]
"""Function from rows to powers of distances, (n_rows, n_others)."""
Function = Callable[[Any], Any]

NAMES = {
    "cityblock": "manhattan",
    "infinity": "chebyshev",
    "l1": "manhattan",
    "l2": "euclidean",
    "p": "minkowski",
}
"""Other names of the metrics."""
EXPONENTS = {"chebyshev": math.inf, "cosine": 1.0, "euclidean": 2.0, "manhattan": 1.0}
BLOCK = 1 << 20
"""Numbers of distances that are computed in one step."""


class Metric:
    """A metric of scikit-learn.

    Attributes:
        name: Its name; "minkowski" only for exponents without another name.
        exponent: The exponent of the differences.

    Raises:
        UnplannedError: The metric is another one.
    """

    def __init__(self, name: Any, settings: Mapping[str, Any]) -> None:
        self.name = NAMES.get(str(name), str(name))
        self.exponent = float(settings.get("p", 2))
        if any(value is not None for key, value in settings.items() if key != "p"):
            raise UnplannedError(f"the metric {name} with arguments has no plan")
        if self.name == "minkowski":
            names = {exponent: other for other, exponent in EXPONENTS.items() if other != "cosine"}
            self.name = names.get(self.exponent, self.name)
        elif self.name not in EXPONENTS:
            raise UnplannedError(f"the metric {name} has no plan")
        self.exponent = EXPONENTS.get(self.name, self.exponent)

    def powers(self, others: np.ndarray, blas: Blas | None = None) -> Distances:
        """Return the function that computes powers of the distances between rows and `others`.

        Args:
            others: Rows of a training.
            blas: The products of the estimator, None if it adds up column by column.
        """
        if blas is not None and self.name in ("cosine", "euclidean"):
            return (cosines_of if self.name == "cosine" else squares_of)(others, blas)
        if self.name == "cosine":
            raise UnplannedError("the metric cosine has no plan for trees")
        columns = np.ascontiguousarray(others.T)
        if self.name == "chebyshev":
            return _largest(columns)
        simple: dict[str, Function] = {"euclidean": np.square, "manhattan": np.abs}
        exponent = self.exponent
        return _added(columns, simple.get(self.name, lambda each: np.abs(each) ** exponent))

    def power(self, length: Any) -> Any:
        """Convert distances to the powers that are compared."""
        if self.exponent == 2:
            return length * length
        return length if self.exponent in (1, math.inf) else length**self.exponent

    def length(self, power: Any) -> Any:
        """Convert powers to distances."""
        if self.exponent == 2:
            return np.sqrt(power)
        return power if self.exponent in (1, math.inf) else power ** (1 / self.exponent)


def _added(columns: np.ndarray, function: Function) -> Distances:
    """Return the sums of a function of differences, added up column by column."""

    def distances(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(rows), columns.shape[1]))
        for values, others in zip(rows.T, columns):
            sums += function(values[:, np.newaxis] - others)
        return sums

    return distances


def _largest(columns: np.ndarray) -> Distances:
    def distances(rows: np.ndarray) -> np.ndarray:
        largest = np.zeros((len(rows), columns.shape[1]))
        for values, others in zip(rows.T, columns):
            np.maximum(largest, np.abs(values[:, np.newaxis] - others), out=largest)
        return largest

    return distances


class Blas(NamedTuple):
    """The products and the sums of squares by which an estimator computes distances.

    Attributes:
        dot: The product of rows and a matrix.
        squares: The sum of the squares of each row.
    """

    dot: Callable[[np.ndarray, np.ndarray], np.ndarray]
    squares: Callable[[np.ndarray], np.ndarray]


NUMPY_1_20 = (1, 0)
"""First version that appeared after numpy 1.20, which adds up in the order of newer processors."""


def blas_of(compiler: Compiler) -> Blas:
    is_recent = compiler.since(*NUMPY_1_20)
    return Blas(product(compiler, 0, 22), _squares if is_recent else _squares_before_1_20)


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _squares_before_1_20(rows: np.ndarray) -> np.ndarray:
    """Add up even and odd columns of each eight, then the others from the last to the first."""
    width = rows.shape[1]
    end = width // 8 * 8
    pairs = np.zeros((len(rows), 2))
    for column in range(0, end, 2):
        pairs += rows[:, column : column + 2] ** 2
    sums = pairs[:, 0] + pairs[:, 1]
    for column in range(width - 1, end - 1, -1):
        sums += rows[:, column] ** 2
    return sums


CHUNK = 256
"""Rows of each product of the search of scikit-learn, whose last bits depend on its size."""


def _dot_in_chunks(rows: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Multiply rows by a matrix in parts, a single row by the routine of BLAS for several."""
    pair = np.concatenate([rows, rows]) if len(rows) == 1 else rows
    result = np.empty((len(pair), across.shape[1]))
    for top in range(0, len(pair), CHUNK):
        for left in range(0, across.shape[1], CHUNK):
            part = pair[top : top + CHUNK] @ across[:, left : left + CHUNK]
            result[top : top + CHUNK, left : left + CHUNK] = part
    return result[: len(rows)]


def _squares_by_blas(rows: np.ndarray) -> np.ndarray:
    # Numpy calls `ddot` for products of a row and a column.
    return np.asarray((rows[:, np.newaxis] @ rows[..., np.newaxis])[:, 0, 0])


CHUNKED = Blas(_dot_in_chunks, _squares_by_blas)
"""As compiled code of scikit-learn computes the nearest rows since 1.1."""


def squares_of(others: np.ndarray, blas: Blas) -> Distances:
    """Return squares of Euclidean distances by a product, as `euclidean_distances`."""
    across, lengths = others.T, blas.squares(others)

    def distances(rows: np.ndarray) -> np.ndarray:
        squares = -2 * blas.dot(rows, across)
        squares += blas.squares(rows)[:, np.newaxis]
        squares += lengths
        return np.asarray(np.maximum(squares, 0, out=squares))

    return distances


def cosines_of(others: np.ndarray, blas: Blas) -> Distances:
    across = unit_rows(others, blas).T

    def distances(rows: np.ndarray) -> np.ndarray:
        cosines = blas.dot(unit_rows(rows, blas), across)
        cosines *= -1
        cosines += 1
        return np.asarray(np.clip(cosines, 0, 2, out=cosines))

    return distances


def unit_rows(rows: np.ndarray, blas: Blas) -> np.ndarray:
    """Scale rows to length 1, except for those of zeros."""
    lengths = np.sqrt(blas.squares(rows))
    lengths[lengths < 10 * np.finfo(np.float64).eps] = 1.0
    return np.asarray(rows / lengths[:, np.newaxis])
