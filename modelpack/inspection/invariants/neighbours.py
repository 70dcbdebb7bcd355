"""Checks of nearest neighbours: `KDTree`, `BallTree`, and estimators that search without a tree.

Compiled code reads sample `idx_array[i]` for each i in the range of a node, and goes from node n to
nodes 2n + 1 and 2n + 2 until a node is marked as a leaf. It does not check any bound. See
sklearn/neighbors/_binary_tree.pxi.tp; `__getstate__` defines the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import dict_get
from . import objects
from .objects import (
    InvariantError,
    OldLayoutError,
    StoredArray,
    attributes,
    integer,
    require,
    stored_array,
)
from .scan import INDEX, Rule, Scan, in_range, is_sparse, scan_values, shape_of_sparse

_FLOAT = {"f4", "f8"}
_LAYOUT: objects.Layout = {
    "idx_start": INDEX, "idx_end": INDEX, "is_leaf": INDEX, "radius": {"f8"},
}  # fmt: skip
_BOUNDS = {"kd_tree": 2, "ball_tree": 1}
"""The number of bounds of each node: a minimum and a maximum, or a centre."""


def binary_tree(node: ObjectNode) -> Iterator[Scan]:
    """`newObj(KDTree)` and its state of 13 values.

    scikit-learn before 0.20 wrote 12. Later releases read the last value without checking the
    length.
    """
    state = node.states[0] if len(node.states) == 1 else None
    is_old = not node.cls.module.rpartition(".")[2].startswith("_")
    if isinstance(state, tuple) and len(state) == 12 and is_old:
        raise OldLayoutError(
            "a tree of neighbours of scikit-learn before 0.20, beyond whose end later releases read"
        )
    if not isinstance(state, tuple) or len(state) != 13:
        raise InvariantError("the state of a tree of neighbours does not have 13 values")
    samples = stored_array(state[0], "the samples of a tree")
    samples.expect(_FLOAT, None, None)
    n_samples, n_features = samples.shape
    require(samples.size > 0, "a tree of neighbours has no samples")
    index = stored_array(state[1], "the order of the samples")
    index.expect(INDEX, n_samples)
    nodes = _nodes_of(state)
    bounds = stored_array(state[3], "the bounds of the nodes")
    kind = node.cls.module.rpartition(".")[2].lstrip("_")
    bounds.expect({samples.code}, _BOUNDS.get(kind), nodes.size, n_features)
    if state[12] is not None:
        stored_array(state[12], "the weights of the samples").expect(_FLOAT, n_samples)
    _metric(state[11], n_features)
    yield scan_values(index, in_range(index, n_samples))
    yield scan_values(nodes, _nodes(nodes, n_samples))


def _nodes_of(state: tuple[Node, ...]) -> StoredArray:
    leaf_size, n_levels, n_nodes = (integer(value) for value in state[4:7])
    nodes = stored_array(state[2], "the nodes of a tree")
    objects.require_layout(nodes, _LAYOUT)
    fine = n_levels is not None and 0 < n_levels < 60 and nodes.size == n_nodes == 2**n_levels - 1
    require(fine, "the number of nodes of a tree of neighbours does not match its levels")
    require(
        leaf_size is not None and leaf_size > 0,
        "the leaf size of a tree of neighbours is not positive",
    )
    return nodes


def _nodes(nodes: StoredArray, n_samples: int) -> Rule:
    columns = objects.Columns(nodes.dtype, "idx_start", "idx_end", "is_leaf")
    first = 0
    while piece := (yield):
        _check_nodes(columns.rows(piece), nodes.size, first, n_samples)
        first += len(piece) // nodes.dtype.itemsize


def _check_nodes(rows: Iterable[tuple[int, ...]], count: int, first: int, n_samples: int) -> None:
    for number, (start, end, is_leaf) in enumerate(rows, first):
        if not 0 <= start <= end <= n_samples:
            raise InvariantError(
                f"node {number:,} of a tree has the samples {start:,} to {end:,}, but there are "
                f"only {n_samples:,}"
            )
        if not is_leaf and 2 * number + 2 >= count:
            raise InvariantError(f"node {number:,} of a tree has no children and is not a leaf")


def _metric(metric: Node, n_features: int) -> None:
    """Check the arrays of a distance, which sklearn/metrics/_dist_metrics.pyx.tp does not."""
    cls = metric.args[0] if isinstance(metric, ObjectNode) and metric.args else None
    state = metric.states[0] if isinstance(metric, ObjectNode) and len(metric.states) == 1 else None
    if cls is None or not isinstance(state, tuple) or len(state) < 3:
        raise InvariantError("a tree of neighbours has no distance")
    name = str(cls.name).removesuffix("64").removesuffix("32")
    vector, matrix = stored_array(state[1], "a distance"), stored_array(state[2], "a distance")
    if name in {"SEuclideanDistance", "WMinkowskiDistance"}:
        vector.expect(_FLOAT, n_features)
    if name == "MinkowskiDistance" and cls.module.startswith("sklearn.metrics"):  # with weights
        require(vector.size in (0, n_features), "a distance has weights for other features")
    if name == "MahalanobisDistance":
        matrix.expect(_FLOAT, n_features, n_features)
    if name == "HaversineDistance":
        require(n_features == 2, "a distance on the sphere is not of two features")


def searcher(node: ObjectNode) -> Iterator[Scan]:
    """An estimator that compares rows with its samples, column by column.

    A classifier adds up its results at the index `_y` of a sample.
    """
    state = attributes(node)
    width = integer(state.get("n_features_in_"))
    samples = _samples(state.get("_fit_X"))
    if samples is not None and width is not None:
        fits = samples[1] == width
        require(fits, "the samples of a search for neighbours have a different number of features")
    if samples is not None:
        for name in ("metric_params", "effective_metric_params_"):
            _inverse(state.get(name), samples[1])
    if samples is not None and "classes_" in state and state.get("outputs_2d_") is not True:
        labels = stored_array(state.get("_y"), "the classes of the samples")
        labels.expect(INDEX, samples[0])
        yield scan_values(labels, in_range(labels, _class_count(state["classes_"])))


def _inverse(parameters: Node, n_features: int) -> None:
    """Check the matrix of a Mahalanobis distance, whose shape scipy does not check."""
    matrix = dict_get(parameters, "VI") if isinstance(parameters, DictNode) else None
    if matrix is not None:
        stored_array(matrix, "the matrix of a distance").expect({"f8"}, n_features, n_features)


def _class_count(classes: Node) -> int:
    return len(classes) if isinstance(classes, list) else stored_array(classes, "the classes").size


def _samples(node: Node) -> tuple[int, ...] | None:
    """Return the shape of the samples, dense or sparse."""
    if node is None:
        return None
    shape = shape_of_sparse(node) if is_sparse(node) else stored_array(node, "the samples").shape
    require(len(shape) == 2, "the samples of a search for neighbours are not a table")
    return shape
