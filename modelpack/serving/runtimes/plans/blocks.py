"""Data that parts of a plan exchange: a matrix, columns or a sparse matrix."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .sparse import csr_maker, keeps_order, maker_like, row_numbers

Columns = List[np.ndarray]
"""One array (n_rows,) per input, as `columns.Rows`."""

BEYOND_EXACT = 2.0**53
"""float64 represents every integer below this number."""


def matrix(block: Any) -> np.ndarray:
    """Return a matrix unchanged, or columns as float64 (n_rows, n_inputs) in Fortran order.

    pandas uses this order. The last bits of products and sums depend on it.

    Raises:
        FallbackRequiredError: A column contains other values than numbers, or large integers.
    """
    if isinstance(block, np.ndarray):
        return block
    if not isinstance(block, list):
        raise FallbackRequiredError
    kinds = {column.dtype.kind for column in block}
    if not kinds <= {"f", "i", "b"}:
        raise FallbackRequiredError
    rows: np.ndarray = np.array(block, np.float64).T
    if "i" in kinds and (np.abs(rows) >= BEYOND_EXACT).any():
        raise FallbackRequiredError
    return rows


def no_infinity(values: np.ndarray) -> np.ndarray:
    """Return `values` if none is infinite.

    Raises:
        FallbackRequiredError: A value is infinite, which estimators reject.
    """
    if np.isinf(values).any():
        raise FallbackRequiredError
    return values


def bounded(block: Any) -> Any:
    """Return `block`, an array or sparse matrix, for a transformer that accepts NaN.

    Raises:
        FallbackRequiredError: A value is infinite, which the estimator rejects.
    """
    values = block if type(block) is np.ndarray else block.data
    if not np.vdot(values, values) < np.inf:  # the cheapest check; NaN and large values fail it
        no_infinity(values)
    return block


def doubles(block: Any) -> Any:
    """Convert codes, counts and flags to float64 numbers, as the next step does."""
    values = block if isinstance(block, np.ndarray) else getattr(block, "data", None)
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "ib":
        return block
    numbers = values.astype(np.float64)
    if values is block:
        return numbers
    return maker_like(block, block.shape[1])(numbers, block.indices, block.indptr)


def is_nan(value: Any) -> bool:
    """Return whether a value of a column is missing."""
    return bool(value != value)  # noqa: PLR0124 - works for texts, too


def columns(block: Any) -> Columns:
    """Return the columns of a matrix, or `block` if it is a list of columns."""
    if isinstance(block, list):
        return block
    if not isinstance(block, np.ndarray):
        raise FallbackRequiredError
    return list(block.T)


def selection(indices: Sequence[int]) -> Callable[[Any], Any]:
    """Return a function that selects columns of a list, or of a matrix in its memory order."""
    chosen = list(indices)

    def select(block: Any) -> Any:
        if isinstance(block, list):
            return [block[index] for index in chosen]
        return block.T[chosen].T if block.flags.f_contiguous else np.take(block, chosen, axis=1)

    return select


def dense(block: Any) -> np.ndarray:
    """Convert a sparse matrix without duplicate entries to a dense one."""
    if isinstance(block, np.ndarray):
        return block
    rows = np.zeros(block.shape)
    rows[0 if block.shape[0] == 1 else row_numbers(block), block.indices] = block.data
    return rows


def stacked(blocks: Sequence[Any]) -> np.ndarray:
    """Concatenate matrices horizontally, as `numpy.hstack` does."""
    return np.concatenate([dense(block) for block in blocks], axis=1)


def sparse_stacked(blocks: Sequence[Any], model: Any) -> Any:
    """Concatenate blocks horizontally in a sparse matrix, as `scipy.sparse.hstack` does.

    Zeros of dense blocks are left out, those of sparse blocks are kept. Entries of a row are sorted
    by column, unless all blocks are sparse and the release of scipy keeps their order.
    `model` is the estimator that concatenates them.
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
    return csr_maker(width, model)(values[order], index[order].astype(np.int32), indptr)


def _keeps_order(blocks: Sequence[Any]) -> bool:
    if any(isinstance(block, np.ndarray) for block in blocks):
        return False
    return len(blocks) == 1 or keeps_order(blocks[0])
