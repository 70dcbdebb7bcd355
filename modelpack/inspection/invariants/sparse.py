"""Sparse matrices and arrays of scipy, in all of its formats.

The compiled routines go through `indices` and `data` from `indptr[i]` to `indptr[i + 1]`, and read
and write at these indices, coordinates and offsets. scipy compares them with the shape when a
matrix is made, and not when it is unpickled. See scipy/sparse/sparsetools.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..contracts import class_key
from ..nodes import Dct, Node, Obj
from .integers import INDEX, pointers, within
from .objects import Broken, Stored, attributes, integer, require, stored
from .scans import Rule, Scan, scan

_VALUES = "the values of a sparse matrix"
_INDICES = "the indices of a sparse matrix"


def by_rows(made: Obj) -> Iterator[Scan]:
    """Compressed rows: csr."""
    return _compressed(made, _flat(made), *shape_of_sparse(made))


def by_columns(made: Obj) -> Iterator[Scan]:
    """Compressed columns: csc."""
    return _compressed(made, _flat(made), *shape_of_sparse(made)[::-1])


def by_blocks(made: Obj) -> Iterator[Scan]:
    """Compressed rows of dense blocks of one shape: bsr."""
    rows, columns = shape_of_sparse(made)
    values = stored(attributes(made).get("data"), _VALUES)
    require(len(values.shape) == 3, "the values of a sparse matrix are no blocks")
    _, height, width = values.shape
    fits = height > 0 and width > 0 and not rows % height and not columns % width
    require(fits, "the blocks of a sparse matrix do not fit its shape")
    return _compressed(made, values, rows // height, columns // width)


def by_coordinates(made: Obj) -> Iterator[Scan]:
    """One coordinate for each dimension of a value: coo."""
    state, shape, values = attributes(made), _shape_of(made), _flat(made)
    old = [state[name] for name in ("row", "col") if name in state]
    since = state.get("coords")  # since scipy 1.13
    found = list(since) if isinstance(since, tuple | list) else old
    is_one = ("coords" in state) != bool(old)
    require(is_one and len(found) == len(shape), "a sparse matrix has not one index a dimension")
    for node, length in zip(found, shape, strict=True):
        indices = stored(node, _INDICES)
        indices.expect(INDEX, values.size)
        yield scan(indices, within(indices, length))


def by_diagonals(made: Obj) -> Iterator[Scan]:
    """Diagonals: dia. A diagonal may lie outside of the matrix by its own offset only."""
    state, (rows, columns) = attributes(made), shape_of_sparse(made)
    offsets = stored(state.get("offsets"), "the offsets of a sparse matrix")
    offsets.expect(INDEX, None)
    values = stored(state.get("data"), _VALUES)
    fits = len(values.shape) == 2 and values.shape[0] == offsets.size
    require(fits, "a sparse matrix has not one offset a diagonal")
    yield scan(offsets, within(offsets, columns + 1, least=-rows))


def by_lists(made: Obj) -> Iterator[Scan]:
    """Two lists for each row, of columns and of values: lil."""
    state, (rows, columns) = attributes(made), shape_of_sparse(made)
    indices = stored(state.get("rows"), _INDICES)
    values = stored(state.get("data"), _VALUES)
    fits = indices.shape == values.shape == (rows,)
    require(fits, "a sparse matrix has not one list of indices a row")
    if not isinstance(indices.content, list) or not isinstance(values.content, list):
        raise Broken("a sparse matrix holds no lists")
    lengths = [len(row) if isinstance(row, list) else -1 for row in indices.content]
    others = [len(row) if isinstance(row, list) else -2 for row in values.content]
    require(lengths == others, "a sparse matrix has not one index a value")
    yield Scan(indices.content, 1, _lists(columns), work=sum(lengths))


def by_keys(made: Obj) -> Iterator[Scan]:
    """A dict of coordinates: dok. It was a dict itself before scipy 1.13, and holds one since."""
    shape = _shape_of(made)
    for node in (*made.args, made.pairs, attributes(made).get("_dict")):
        if isinstance(node, Dct):
            yield Scan(node.keys, 1, _keys(shape), work=len(shape) * len(node.keys))


def is_sparse(node: Node) -> bool:
    return isinstance(node, Obj) and class_key(node).startswith("scipy.sparse.")


def shape_of_sparse(made: Obj) -> tuple[int, int]:
    """Of a matrix, two lengths; of an array of one dimension, that of its only row as well."""
    shape = _shape_of(made)
    require(len(shape) < 3, "a sparse matrix has no shape")
    return shape[-2] if len(shape) == 2 else 1, shape[-1]


def _shape_of(made: Obj) -> tuple[int, ...]:
    node = attributes(made).get("_shape")
    shape = tuple(integer(n) for n in node) if isinstance(node, tuple) else ()
    lengths = tuple(n for n in shape if n is not None and n >= 0)
    require(0 < len(lengths) == len(shape), "a sparse matrix has no shape")
    return lengths


def _flat(made: Obj) -> Stored:
    values = stored(attributes(made).get("data"), _VALUES)
    require(len(values.shape) == 1, "the values of a sparse matrix are no list")
    return values


def _compressed(made: Obj, values: Stored, major: int, minor: int) -> Iterator[Scan]:
    """Indices in [0, minor), and where those of each of `major` rows or columns begin."""
    state = attributes(made)
    starts = stored(state.get("indptr"), "the row pointers of a sparse matrix")
    indices = stored(state.get("indices"), _INDICES)
    starts.expect(INDEX, major + 1)
    indices.expect(INDEX, None)
    fits = values.shape[:1] == indices.shape and starts.code == indices.code
    require(fits, "a sparse matrix has not one index a value")
    yield scan(starts, pointers(starts, indices.size))
    yield scan(indices, within(indices, minor))


def _lists(columns: int) -> Rule:
    while rows := (yield):
        for row in rows:
            _below(row, (columns,) * len(row))


def _keys(shape: tuple[int, ...]) -> Rule:
    while keys := (yield):
        for key in keys:
            place = key if isinstance(key, tuple) else (key,)
            require(len(place) == len(shape), "a sparse matrix has not one index a dimension")
            _below(place, shape)


def _below(numbers: list[Node] | tuple[Node, ...], bounds: tuple[int, ...]) -> None:
    for node, bound in zip(numbers, bounds, strict=True):
        value = integer(node)
        if value is None or not 0 <= value < bound:
            told = "no integer" if value is None else f"{value:,}"
            raise Broken(
                f"{_INDICES} hold {told}, where less than {bound:,} and no less than 0 can be"
            )
