"""Walks from the roots of many decision trees to their leaves, all in one call."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Sequence

import numpy as np
from scipy.sparse import issparse  # type: ignore[import-untyped]

from ...data.columns import FallbackRequiredError
from .blocks import dense
from .compiler import UnplannedError

EXACT = 2.0**53
"""Below it, float64 holds each integer."""

COPIED = 32 << 20
"""Bytes of trees that are copied at most, so that a plan needs little memory beside its model."""

DENSE = 1 << 22
"""Values of a sparse matrix that are written out at most."""

Walk = Callable[[np.ndarray, np.ndarray], None]
"""Of float32 rows (n_rows, n_features) and float64 sums (n_rows, n_columns), both in C order, and
the rows finite: adds to each sum the values of the leaves, in the order of the trees."""


def traverse(trees: Any, scale: float = 1.0) -> Walk:
    """`trees` (n, n_columns): objects with a `tree_` of one output, whose values are added, times
    `scale`, to the sum of their column. This is how gradient boosting walks: one call takes a
    tenth of the time of one for each tree.

    Raises:
        UnplannedError: this scikit-learn does not have it.
    """
    try:
        from sklearn.ensemble._gradient_boosting import (  # noqa: PLC0415
            predict_stages,
        )
    except ImportError as error:
        raise UnplannedError("scikit-learn walks its trees in another way") from error
    rooted, scale = np.asarray(trees, object), float(scale)

    def add(rows: np.ndarray, sums: np.ndarray) -> None:
        predict_stages(rooted, rows, scale, sums)

    return add


def build_tree(width: int, nodes: np.ndarray, depth: int, values: np.ndarray) -> Any:
    """What has a tree of one output, of `width` features. `nodes`: as a tree's own. `values`: one
    a node.
    """
    from sklearn.tree._tree import Tree  # noqa: PLC0415

    tree = Tree(width, np.array([1], np.intp), 1)
    tree.__setstate__(
        {
            "max_depth": depth,
            "node_count": len(nodes),
            "nodes": nodes,
            "values": np.ascontiguousarray(values, np.float64).reshape(-1, 1, 1),
        }
    )
    return SimpleNamespace(tree_=tree)


def node_dtype() -> np.dtype[Any]:
    """Of the nodes of a tree in this release of scikit-learn."""
    from sklearn.tree._tree import Tree  # noqa: PLC0415

    return np.asarray(Tree(1, np.array([1], np.intp), 1).__getstate__()["nodes"]).dtype


def width_of(model: Any) -> int:
    """How many features it has; by another name before scikit-learn 0.24."""
    named = hasattr(model, "n_features_in_")
    return int(model.n_features_in_ if named else model.n_features_)


def matrix(block: Any, width: int) -> np.ndarray:
    """`block` as an array (n_rows, width).

    Raises:
        FallbackRequiredError: it is of another shape, or not of numbers that float64 holds.
    """
    rows = _stacked(block) if isinstance(block, list) else block
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise FallbackRequiredError
    return np.asarray(rows)


def _stacked(columns: Sequence[np.ndarray]) -> np.ndarray:
    kinds = {column.dtype.kind for column in columns}
    if not kinds <= set("fib"):
        raise FallbackRequiredError
    rows = np.array(columns, np.float64)
    if "i" in kinds and (np.abs(rows) >= EXACT).any():
        raise FallbackRequiredError
    return np.asarray(rows.T)


def narrow(block: Any, width: int) -> np.ndarray:
    """`block` as trees take it: float32 (n_rows, width) in C order; infinity where it is too large.

    Raises:
        FallbackRequiredError: as `matrix`, or a sparse matrix has a value that is not finite.
    """
    if issparse(block):
        all_finite(block.data)  # missing values are taken only from dense rows
        block = _dense(block)
    with np.errstate(over="ignore"):
        return matrix(block, width).astype(np.float32, order="C")


def all_finite(rows: np.ndarray) -> np.ndarray:
    """`rows`, however large their numbers are.

    Raises:
        FallbackRequiredError: one is missing or infinite.
    """
    if not np.isfinite(rows).all():
        raise FallbackRequiredError
    return rows


def _dense(block: Any) -> np.ndarray:
    """Trees find in a sparse matrix what they find in a dense one.

    Raises:
        FallbackRequiredError: it would take much memory.
    """
    if block.shape[0] * block.shape[1] > DENSE:
        raise FallbackRequiredError
    return dense(block)
