"""Data between parts: matrix, columns, sparse."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import numpy as np
import sklearn
from scipy import sparse  # type: ignore[import-untyped]

from ...data.columns import FallbackRequiredError

VERSION = tuple(int(number) for number in sklearn.__version__.split(".")[:2])
"""Of scikit-learn: major and minor."""

Columns = List[np.ndarray]
"""One array (n_rows,) an input, as `columns.Rows`."""


BEYOND_EXACT = 2.0**53
"""From here on there are integers that a float of 64 bits does not hold."""


def matrix(block: Any) -> np.ndarray:
    """Float64 (n_rows, n_inputs) of columns, in Fortran order as pandas keeps them: how BLAS and
    sums go through memory shows in the last bits. A matrix as it is.

    Raises:
        FallbackRequiredError: a column contains other values than numbers, or large integers.
    """
    if isinstance(block, np.ndarray):
        return block
    if not isinstance(block, list):
        raise FallbackRequiredError
    kinds = {column.dtype.kind for column in block}
    if not kinds <= {"f", "i", "b"}:
        raise FallbackRequiredError
    made: np.ndarray = np.array(block, np.float64).T
    if "i" in kinds and (np.abs(made) >= BEYOND_EXACT).any():
        raise FallbackRequiredError
    return made


def no_infinity(values: np.ndarray) -> np.ndarray:
    """Raises:
    FallbackRequiredError: a value is infinite, which estimators refuse.
    """
    if np.isinf(values).any():
        raise FallbackRequiredError
    return values


def bounded(block: Any) -> Any:
    """`block`, an array or sparse matrix, as transformers take it that accept NaN.

    Raises:
        FallbackRequiredError: a value is infinite, which the estimator refuses.
    """
    values = block if type(block) is np.ndarray else block.data
    if not np.vdot(values, values) < np.inf:  # the cheapest look; NaN and large values fail it
        no_infinity(values)
    return block


def doubles(block: Any) -> Any:
    """`block`, with codes, counts and flags as the float64 numbers that the next step computes."""
    values = block if isinstance(block, np.ndarray) else getattr(block, "data", None)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "ib":
        return block
    numbers = values.astype(np.float64)
    if values is block:
        return numbers
    return csr_maker(block.shape[1])(numbers, block.indices, block.indptr)


def is_nan(value: Any) -> bool:
    """Whether a value of a column is missing."""
    return bool(value != value)  # noqa: PLR0124 - works for texts, too


def columns(block: Any) -> Columns:
    """The columns of a matrix, or those that are columns already."""
    if isinstance(block, list):
        return block
    if not isinstance(block, np.ndarray):
        raise FallbackRequiredError
    return list(block.T)


def selection(indices: Sequence[int]) -> Callable[[Any], Any]:
    """What takes columns of a frame: of a list of them, or of the matrix that it is made of, whose
    order of memory pandas keeps.
    """
    chosen = list(indices)

    def select(block: Any) -> Any:
        if isinstance(block, list):
            return [block[index] for index in chosen]
        return block.T[chosen].T if block.flags.f_contiguous else np.take(block, chosen, axis=1)

    return select


def csr_maker(width: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Any]:
    """What makes sparse matrices (n_rows, `width`) of data, indices and indptr that fit each other,
    without the looks at them that take scipy longer than the rest of a plan.
    """
    state = sparse.csr_matrix((1, width), dtype=np.float64).__dict__

    def make(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray) -> Any:
        made = object.__new__(sparse.csr_matrix)
        made.__dict__.update(
            state, data=data, indices=indices, indptr=indptr, _shape=(len(indptr) - 1, width)
        )
        return made

    return make


def row_numbers(block: Any) -> np.ndarray:
    """Of each entry of a sparse matrix."""
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))


def dense(block: Any) -> np.ndarray:
    """A matrix of a sparse one, whose entries are at places of their own."""
    if isinstance(block, np.ndarray):
        return block
    made = np.zeros(block.shape)
    made[0 if block.shape[0] == 1 else row_numbers(block), block.indices] = block.data
    return made


def stacked(blocks: Sequence[Any]) -> np.ndarray:
    """Matrices side by side, as numpy.hstack."""
    return np.concatenate([dense(block) for block in blocks], axis=1)


def sparse_stacked(blocks: Sequence[Any]) -> Any:
    """Blocks side by side in one sparse matrix, as scipy.sparse.hstack: of a matrix only what is
    not zero; of a sparse one everything. Each row in the order of columns; or, where scipy does
    that and all are sparse, in the order that it has in each.
    """
    rows, indices, data, width = [], [], [], 0
    for block in blocks:
        if isinstance(block, np.ndarray):
            row, index = np.nonzero(block)
            values = block[row, index]
        else:
            row, index, values = row_numbers(block), block.indices, block.data
        rows.append(row)
        indices.append(index + width)
        data.append(values)
        width += block.shape[1]
    row, index, values = (np.concatenate(parts) for parts in (rows, indices, data))
    keys = (row,) if _keeps_order(blocks) else (index, row)
    order = np.lexsort(keys)
    indptr = np.zeros(blocks[0].shape[0] + 1, np.int32)
    np.cumsum(np.bincount(row, minlength=blocks[0].shape[0]), out=indptr[1:])
    return csr_maker(width)(values[order], index[order].astype(np.int32), indptr)


def _keeps_order(blocks: Sequence[Any]) -> bool:
    if any(isinstance(block, np.ndarray) for block in blocks):
        return False
    return len(blocks) == 1 or HSTACK_KEEPS_ORDER


def _hstack_keeps_order() -> bool:
    unsorted = sparse.csr_matrix((np.ones(2), np.array([1, 0]), np.array([0, 2])), shape=(1, 2))
    stacked = sparse.hstack([unsorted, unsorted]).tocsr()
    return bool(stacked.indices[0] == 1)


HSTACK_KEEPS_ORDER = _hstack_keeps_order()
"""Whether scipy puts sparse matrices side by side without sorting the entries of a row."""
