"""Nearest neighbours: `KDTree` and `BallTree`, and estimators that search without a tree.

Compiled code reads sample `idx_array[i]` for each i of a node's range, goes from node n to nodes
2n + 1 and 2n + 2 until one says that it is a leaf, and looks at no bound:
sklearn/neighbors/_binary_tree.pxi.tp, `__getstate__` for the state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import dict_get
from . import objects
from .objects import InvariantError, StoredArray, attributes, integer, require, stored_array
from .scan import INDEX, Rule, Scan, in_range, is_sparse, scan_values, shape_of_sparse

_FLOAT = {"f4", "f8"}
_LAYOUT: objects.Layout = {
    "idx_start": INDEX, "idx_end": INDEX, "is_leaf": INDEX, "radius": {"f8"},
}  # fmt: skip
_BOUNDS = {"kd_tree": 2, "ball_tree": 1}
"""Arrays of node bounds: the least and the greatest of each feature, or a centre."""


def binary_tree(node: ObjectNode) -> Iterator[Scan]:
    """`newObj(KDTree)` and its state of 13 values. scikit-learn before 0.20 wrote 12. The releases
    that are supported read the last value without a look at the length.
    """
    state = node.states[0] if len(node.states) == 1 else None
    if not isinstance(state, tuple) or len(state) != 13:
        raise InvariantError("a tree of neighbours has not the state of one")
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
    _weights(state, n_samples)
    _metric(state[11], n_features)
    yield scan_values(index, in_range(index, n_samples))
    yield scan_values(nodes, _nodes(nodes, n_samples))


def _nodes_of(state: tuple[Node, ...]) -> StoredArray:
    leaf_size, n_levels, n_nodes = (integer(value) for value in state[4:7])
    nodes = stored_array(state[2], "the nodes of a tree")
    objects.require_layout(nodes, _LAYOUT)
    fine = n_levels is not None and 0 < n_levels < 60 and nodes.size == n_nodes == 2**n_levels - 1
    require(fine, "the nodes of a tree of neighbours are not as many as its levels have")
    require(leaf_size is not None and leaf_size > 0, "a tree of neighbours has leaves of no size")
    return nodes


def _weights(state: tuple[Node, ...], n_samples: int) -> None:
    if state[12] is not None:
        stored_array(state[12], "the weights of the samples").expect(_FLOAT, n_samples)


def _nodes(nodes: StoredArray, n_samples: int) -> Rule:
    columns = objects.Columns(nodes.dtype, "idx_start", "idx_end", "is_leaf")
    first = 0
    while piece := (yield):
        _look(columns.rows(piece), nodes.size, first, n_samples)
        first += len(piece) // nodes.dtype.itemsize


def _look(rows: Iterable[tuple[int, ...]], count: int, first: int, n_samples: int) -> None:
    for number, (start, end, is_leaf) in enumerate(rows, first):
        if not 0 <= start <= end <= n_samples:
            raise InvariantError(
                f"node {number:,} of a tree has the samples {start:,} to {end:,}, and there are "
                f"{n_samples:,}"
            )
        if not is_leaf and 2 * number + 2 >= count:
            raise InvariantError(f"node {number:,} of a tree has no children and is no leaf")


def _metric(metric: Node, n_features: int) -> None:
    """What a distance believes of its own numbers: sklearn/metrics/_dist_metrics.pyx.tp."""
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
    """An estimator that compares rows with its samples, column by column, and of a classifier adds
    up what it finds at the class `_y` of a sample.
    """
    state = attributes(node)
    width = integer(state.get("n_features_in_"))
    samples = _samples(state.get("_fit_X"))
    if samples is not None and width is not None:
        require(samples[1] == width, "the samples of a search for neighbours have other features")
    if samples is not None:
        for name in ("metric_params", "effective_metric_params_"):
            _inverse(state.get(name), samples[1])
    if samples is not None and "classes_" in state and state.get("outputs_2d_") is not True:
        labels = stored_array(state.get("_y"), "the classes of the samples")
        labels.expect(INDEX, samples[0])
        yield scan_values(labels, in_range(labels, _number_of(state["classes_"])))


def _inverse(parameters: Node, n_features: int) -> None:
    """The matrix of a Mahalanobis distance, which scipy reads without a look at its shape."""
    matrix = dict_get(parameters, "VI") if isinstance(parameters, DictNode) else None
    if matrix is not None:
        stored_array(matrix, "the matrix of a distance").expect({"f8"}, n_features, n_features)


def _number_of(classes: Node) -> int:
    return len(classes) if isinstance(classes, list) else stored_array(classes, "the classes").size


def _samples(node: Node) -> tuple[int, ...] | None:
    """The shape of the samples, dense or sparse."""
    if node is None:
        return None
    shape = shape_of_sparse(node) if is_sparse(node) else stored_array(node, "the samples").shape
    require(len(shape) == 2, "the samples of a search for neighbours are no table")
    return shape
