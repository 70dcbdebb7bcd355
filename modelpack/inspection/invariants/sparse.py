"""Sparse matrices of scipy.

The compiled routines go through `indices` and `data` from `indptr[i]` to `indptr[i + 1]`, and read
and write at these indices; scipy looks at them when a matrix is made, and not when it is unpickled.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..contracts import class_key
from ..nodes import Node, Obj
from .integers import INDEX, pointers, within
from .objects import Broken, attributes, integer, require, stored
from .scans import Scan, scan


def by_rows(made: Obj) -> Iterator[Scan]:
    return _compressed(made, major=0)


def by_columns(made: Obj) -> Iterator[Scan]:
    return _compressed(made, major=1)


def is_sparse(node: Node) -> bool:
    return isinstance(node, Obj) and class_key(node).startswith("scipy.sparse.")


def shape_of_sparse(made: Obj) -> tuple[int, ...]:
    """Of a matrix, two lengths; of an array of one dimension, that of its only row as well."""
    node = attributes(made).get("_shape")
    shape = tuple(integer(n) for n in node) if isinstance(node, tuple) else ()
    lengths = tuple(n for n in shape if n is not None and n >= 0)
    if len(lengths) not in (1, 2) or len(lengths) != len(shape):
        raise Broken("a sparse matrix has no shape")
    return (1, *lengths)[-2:]


def _compressed(made: Obj, *, major: int) -> Iterator[Scan]:
    shape, state = shape_of_sparse(made), attributes(made)
    starts = stored(state.get("indptr"), "the row pointers of a sparse matrix")
    indices = stored(state.get("indices"), "the indices of a sparse matrix")
    data = stored(state.get("data"), "the values of a sparse matrix")
    starts.expect(INDEX, shape[major] + 1)
    indices.expect(INDEX, None)
    fits = data.shape == indices.shape and starts.code == indices.code
    require(fits, "a sparse matrix has not one index a value")
    yield scan(starts, pointers(starts, indices.size))
    yield scan(indices, within(indices, shape[1 - major]))
