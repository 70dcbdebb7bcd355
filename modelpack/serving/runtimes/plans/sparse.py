"""Sparse rows: the matrices of scipy for a live estimator, an own class for a record."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Sequence

import numpy as np

from .records import is_record

Make = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]
"""Function from data, indices and indptr to sparse rows."""


class SparseRows:
    """Rows in the format CSR, for records, whose images do not have scipy.

    Attributes:
        data: The entries, row after row.
        indices: The column of each entry, int32.
        indptr: The position of the first entry of each row, and the number of entries, int32.
        shape: The numbers of rows and columns.
    """

    def __init__(
        self, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, width: int
    ) -> None:
        self.data = data
        self.indices = indices
        self.indptr = indptr
        self.shape = (len(indptr) - 1, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    def copy(self) -> SparseRows:
        return SparseRows(self.data.copy(), self.indices.copy(), self.indptr.copy(), self.shape[1])

    def sort_indices(self) -> None:
        """Sort the entries of each row by column, in place."""
        order = np.lexsort((self.indices, row_numbers(self)))
        self.data, self.indices = self.data[order], self.indices[order]

    def toarray(self) -> np.ndarray:
        """Convert to a dense array. Duplicate entries are added up."""
        cells = row_numbers(self) * self.shape[1] + self.indices
        result: np.ndarray = np.zeros(self.shape, self.dtype)
        np.add.at(result.reshape(-1), cells, self.data)
        return result

    def __mul__(self, number: float) -> SparseRows:
        return SparseRows(self.data * number, self.indices, self.indptr, self.shape[1])

    def __matmul__(self, matrix: np.ndarray) -> np.ndarray:
        """Multiply by a dense matrix (width, n) or (width,); add up entry by entry, as scipy."""
        if matrix.ndim == 1:
            return self._times(matrix)
        if self.shape[0] == 1:
            products = self.data[:, np.newaxis] * matrix[self.indices]
            if not len(products):
                return np.zeros((1, matrix.shape[1]))
            # Scipy starts with 0, which matters only if all products are -0.
            return np.asarray(np.add.accumulate(products, axis=0)[-1:] + 0.0)
        result = np.empty((self.shape[0], matrix.shape[1]))
        for target, column in zip(result.T, np.ascontiguousarray(matrix.T)):
            target[:] = self._times(column)
        return result

    def _times(self, column: np.ndarray) -> np.ndarray:
        return row_sums(self, self.data * column[self.indices])


def is_sparse(block: Any) -> bool:
    """Return whether a block consists of sparse rows, of either class."""
    return hasattr(block, "indptr")


def row_numbers(block: Any) -> np.ndarray:
    """Return the row number of each entry of a sparse matrix."""
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))


def row_sums(block: Any, values: np.ndarray) -> np.ndarray:
    """Add up `values`, one for each entry of a sparse matrix, row by row in their order."""
    # `numpy.bincount` adds one value after the other; `numpy.sum` would add in pairs.
    return np.bincount(row_numbers(block), values, minlength=block.shape[0])


def csr_maker(width: int, model: Any) -> Make:
    """Return a function that creates sparse matrices (n_rows, width) without validation.

    They are SparseRows if `model` is a record, else matrices of scipy.
    """
    return _sparse_rows(width) if is_record(model) else _scipy_rows(width)


def maker_like(block: Any, width: int) -> Make:
    """Return a function that creates sparse matrices of the class of `block`."""
    return _sparse_rows(width) if isinstance(block, SparseRows) else _scipy_rows(width)


def _sparse_rows(width: int) -> Make:
    def make(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray) -> Any:
        return SparseRows(data, indices, indptr, width)

    return make


def _scipy_rows(width: int) -> Make:
    """Return a function that makes rows of scipy, whose validation takes longer than a plan."""
    from scipy import sparse  # type: ignore[import-untyped]  # noqa: PLC0415 - absent for records

    kind = sparse.csr_matrix
    state = _scipy_state(kind)

    def make(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray) -> Any:
        rows = object.__new__(kind)
        rows.__dict__.update(
            state, data=data, indices=indices, indptr=indptr, _shape=(len(indptr) - 1, width)
        )
        return rows

    return make


@lru_cache(maxsize=None)
def _scipy_state(kind: Any) -> dict[str, Any]:
    return dict(kind((1, 1), dtype=np.float64).__dict__)


def vertically_stacked(blocks: Sequence[Any]) -> Any:
    """Concatenate the rows of sparse matrices of one class."""
    if not isinstance(blocks[0], SparseRows):
        from scipy import sparse  # noqa: PLC0415 - absent for records

        return sparse.vstack(blocks, "csr")
    counts = np.concatenate([np.diff(block.indptr) for block in blocks])
    return SparseRows(
        np.concatenate([block.data for block in blocks]),
        np.concatenate([block.indices for block in blocks]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        blocks[0].shape[1],
    )


def keeps_order(block: Any) -> bool:
    """Return whether the library of `block` concatenates rows without sorting their entries.

    Current releases of scipy do, and the release of a record's scipy is not known.
    """
    return isinstance(block, SparseRows) or _scipy_keeps_order()


@lru_cache(maxsize=None)
def _scipy_keeps_order() -> bool:
    from scipy import sparse  # noqa: PLC0415 - absent for records

    unsorted = sparse.csr_matrix((np.ones(2), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    stacked = sparse.hstack([unsorted, unsorted]).tocsr()
    return bool(stacked.indices[0] == 1)
