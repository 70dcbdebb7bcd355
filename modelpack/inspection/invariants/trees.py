"""Checks of decision trees and histogram gradient boosting.

Compiled code walks from node to node by `left_child` and `right_child`, and reads column `feature`
of a row, without a bounds check. `_check_node_ndarray` in sklearn/tree/_tree.pyx checks only the
dtype and the shape. A child must follow its parent in the array, so that no walk is endless.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from ..nodes import Node, ObjectNode
from ..pickle.ndarrays import view
from . import objects, scan
from .objects import (
    InvariantError,
    OldLayoutError,
    StoredArray,
    attributes,
    integer,
    require,
    stored_array,
)
from .scan import PIECE, Rule, Scan, scan_values

_INDEX = {"i4", "i8"}
_FIELDS: objects.Layout = {
    "left_child": _INDEX,
    "right_child": _INDEX,
    "feature": _INDEX,
    "threshold": {"f8"},
    "impurity": {"f8"},
    "n_node_samples": _INDEX,
    "weighted_n_node_samples": {"f8"},
}
_LAYOUTS = (_FIELDS, {**_FIELDS, "missing_go_to_left": {"u1"}})
"""The nodes before and since scikit-learn 1.3; indices have 4 bytes in 32-bit builds."""

_LINKS = ("left_child", "right_child", "feature")
_LEAF, _UNDEFINED = -1, -2


def tree(node: ObjectNode) -> Iterator[Scan]:
    """`sklearn.tree._tree.Tree(n_features, n_classes, n_outputs)`."""
    n_features, *shape = _arguments(node)
    nodes, depth = _nodes_of(node, shape)
    is_small = nodes.size * nodes.dtype.itemsize <= PIECE
    yield scan_values(nodes, _nodes(nodes, n_features, depth if is_small else None))


def decision_tree(node: ObjectNode) -> Iterator[Scan]:
    """An estimator with one tree: it compares rows only with its number of features."""
    _require_same_width(attributes(node).get("tree_"), attributes(node))
    yield from ()


def gradient_boosting(node: ObjectNode) -> Iterator[Scan]:
    """Gradient boosting does not check the number of features of its trees.

    For each row, it adds as many outputs as `estimators_` has columns.
    """
    state = attributes(node)
    if state.get("estimators_") is None:
        return
    trees = stored_array(state["estimators_"], "the trees of a gradient boosting")
    trees.expect({"O4", "O8"}, None, _outputs(state))
    yield Scan(trees.content, 1, _estimators(state))


def isolation_forest(node: ObjectNode) -> Iterator[Scan]:
    """Isolation forests of some releases store the path of a row in `max_depth` nodes."""
    estimators = attributes(node).get("estimators_")
    for estimator in estimators if isinstance(estimators, list) else ():
        found = _tree_of(estimator)
        if found is not None:
            n_features, *shape = _arguments(found)
            nodes, depth = _nodes_of(found, shape)
            yield scan_values(nodes, _nodes(nodes, n_features, depth))


def _estimators(state: dict[str, Node]) -> Rule:
    while estimators := (yield):
        for estimator in estimators:
            _require_same_width(_tree_of(estimator), state)


def _outputs(state: dict[str, Node]) -> int:
    """Return the number of columns of the raw predictions of a gradient boosting."""
    classes = view(state.get("classes_"))
    columns = classes.size if classes and classes.size > 2 else 1
    counts = [integer(state[name]) for name in ("n_trees_per_iteration_",) if name in state]
    start = state.get("init_")
    first = view(attributes(start).get("classes_")) if isinstance(start, ObjectNode) else None
    agree = first is None or classes is None or first.size == classes.size
    require(
        agree and set(counts) <= {columns},
        "the attributes of a gradient boosting differ in the number of classes",
    )
    return columns


def _tree_of(estimator: Node) -> ObjectNode | None:
    found = attributes(estimator).get("tree_") if isinstance(estimator, ObjectNode) else None
    return found if isinstance(found, ObjectNode) else None


_WIDTHS = ("n_features_in_", "n_features_", "n_features")
"""The attribute is called `n_features` before scikit-learn 0.19."""


def _require_same_width(tree: Node, state: dict[str, Node]) -> None:
    if tree is None:
        return
    widths = {integer(state[name]) for name in _WIDTHS if name in state}
    n_features = integer(tree.args[0]) if isinstance(tree, ObjectNode) and tree.args else None
    if widths != {n_features}:
        raise InvariantError("a tree does not have the number of features of its estimator")


def _arguments(node: ObjectNode) -> tuple[int, int, int]:
    """Return n_features, n_outputs, and the maximum number of classes of an output."""
    args = node.args if len(node.args) == 3 else (None, None, None)
    n_features, n_outputs, classes = integer(args[0]), integer(args[2]), view(args[1])
    counts = [n for n in (classes and classes.values()) or () if type(n) is int and n > 0]
    if (
        not n_features
        or not n_outputs
        or n_outputs != len(counts)
        or not 0 < n_features < scan.LIMIT
    ):
        raise InvariantError(
            "the numbers of features, outputs and classes of a tree contradict each other"
        )
    return n_features, n_outputs, max(counts)


def _nodes_of(node: ObjectNode, shape: list[int]) -> tuple[StoredArray, int]:
    """Return the nodes of a tree and its depth."""
    state = attributes(node)
    missing = {"max_depth", "node_count", "nodes", "values"} - state.keys()
    if missing == {"max_depth"}:
        raise OldLayoutError("a tree of scikit-learn before 0.18, which later releases do not load")
    require(not missing, "a tree has no nodes")
    nodes = stored_array(state["nodes"], "the nodes of a tree")
    objects.require_layout(nodes, *_LAYOUTS)
    count, depth = nodes.size, integer(state["max_depth"])
    require(0 < count < scan.LIMIT, "a tree has no nodes")
    require(
        integer(state["node_count"]) == count, "node_count of a tree is not the number of its nodes"
    )
    stored_array(state["values"], "the values of a tree").expect({"f8"}, count, *shape)
    if depth is None or not 0 <= depth < count:
        raise InvariantError("the depth of a tree contradicts the number of its nodes")
    return nodes, depth


def _nodes(nodes: StoredArray, n_features: int, depth: int | None) -> Rule:
    """Require that children exist and follow their parent, and that features exist.

    No node may be deeper than `depth`, unless that is None.
    """
    words = objects.word_offsets(nodes.dtype, *_LINKS)
    rows = objects.Columns(nodes.dtype, *_LINKS).rows
    depths = array("i", bytes(4 * nodes.size)) if depth is not None else None
    first = 0
    while piece := (yield):
        if words is None or not _all_valid(piece, nodes, words, first, n_features):
            _check_nodes(rows(piece), nodes, first, n_features)
        if depths is not None:
            _descend(rows(piece), depths, first)
        first += len(piece) // nodes.dtype.itemsize
    if depths is not None and depth is not None and max(depths) > depth:
        raise InvariantError(
            f"a tree is {max(depths):,} levels deep, but its max_depth is {depth:,}"
        )


def _descend(rows: Iterable[tuple[int, ...]], depths: array[int], first: int) -> None:
    for number, (left, right, _) in enumerate(rows, first):
        if left != _LEAF:
            depths[left] = depths[right] = depths[number] + 1


def _check_nodes(
    rows: Iterable[tuple[int, ...]], nodes: StoredArray, first: int, n_features: int
) -> None:
    """Check node by node, and name the first invalid one."""
    for number, (left, right, feature) in enumerate(rows, first):
        if left == right == _LEAF and feature == _UNDEFINED:
            continue
        for child in (left, right):
            if not number < child < nodes.size:
                raise InvariantError(
                    f"node {number:,} of a tree has the child {child:,}, but children follow "
                    f"their parent, and the tree has {nodes.size:,} nodes"
                )
        if not 0 <= feature < n_features:
            raise InvariantError(
                f"node {number:,} of a tree reads feature {feature:,}, but there are only "
                f"{n_features:,}"
            )


def _all_valid(
    piece: bytes, nodes: StoredArray, fields: list[int], first: int, n_features: int
) -> bool:
    """Check all nodes of a piece at once, as `_check_nodes` does; False if in doubt.

    The upper halves of the three fields are all ones in a leaf (-1, -1, -2) and zero elsewhere.
    """
    table = array("I")
    table.frombytes(piece)
    step = nodes.dtype.itemsize // scan.WIDTH
    low = [table[field::step].tobytes() for field in fields]
    high = [table[field + 1 :: step].tobytes() for field in fields]
    one = scan.ones(len(piece) // nodes.dtype.itemsize)
    leaf = int.from_bytes(high[0], "little")
    is_leaf = leaf & one
    if not high[0] == high[1] == high[2] or leaf != (is_leaf << 32) - is_leaf:
        return False
    left, right, feature = (int.from_bytes(column, "little") ^ leaf for column in low)
    if left & leaf or right & leaf or feature & leaf != is_leaf:
        return False
    number = scan.numbers(len(piece) // nodes.dtype.itemsize) + first * one
    past = leaf & (one << 31) - one  # a leaf is greater than any number
    return (  # scikit-learn writes the left child first; other trees are checked by node
        scan.less(number, left | past, one)
        and scan.less(left, right | past, one)
        and scan.less(right, nodes.size * one, one)
        and scan.less(feature ^ is_leaf, n_features * one, one)
    )


# Compiled code walks from node to node by `left` and `right`, reads column `feature_idx` of a row,
# and looks up categories in row `bitset_idx` of a table of bits, without a bounds check. See
# sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx.
_HIST_FIELDS: objects.Layout = {
    "value": {"f8"}, "count": {"u4"}, "feature_idx": {"u4", "i4", "i8"}, "threshold": {"f8"},
    "missing_go_to_left": {"u1"}, "left": {"u4"}, "right": {"u4"}, "gain": {"f8"},
    "depth": {"u4"}, "is_leaf": {"u1"}, "bin_threshold": {"u1"},
}  # fmt: skip
_CATEGORIES: objects.Layout = {"is_categorical": {"u1"}, "bitset_idx": {"u4"}}
_HIST_LAYOUTS: tuple[objects.Layout, ...] = (
    {name: codes for name, codes in _HIST_FIELDS.items() if name != "missing_go_to_left"},
    _HIST_FIELDS,
    {("num_threshold" if name == "threshold" else name): codes
     for name, codes in {**_HIST_FIELDS, **_CATEGORIES}.items()},
)  # fmt: skip
"""The nodes in scikit-learn 0.21, since 0.22, and since 0.24, which added categories."""

_HIST_LINKS = ("feature_idx", "left", "right", "is_leaf", "is_categorical", "bitset_idx")
_FEATURES = ("n_features_in_", "n_features_", "_n_features")


def histogram_boosting(node: ObjectNode) -> Iterator[Scan]:
    state = attributes(node)
    if state.get("_predictors") is None:
        return
    widths = {integer(state[name]) for name in _FEATURES if name in state}
    if len(widths) != 1 or None in widths:
        raise InvariantError(
            "the number of features of a gradient boosting is missing or ambiguous"
        )
    n_features = next(n for n in widths if n is not None)
    knows_categories = _knows_categories(state.get("_bin_mapper"), n_features)
    for predictor in _predictors(state["_predictors"]):
        yield _hist_nodes_of(predictor, n_features, knows_categories)


def _predictors(node: Node) -> Iterator[ObjectNode]:
    for group in node if isinstance(node, list) else [None]:
        for predictor in group if isinstance(group, list) else [None]:
            if not isinstance(predictor, ObjectNode):
                raise InvariantError("the trees of a gradient boosting are not lists of trees")
            yield predictor


def _knows_categories(mapper: Node, n_features: int) -> bool:
    """Return whether compiled code looks up categories of at least one feature."""
    array = (
        view(attributes(mapper).get("is_categorical_")) if isinstance(mapper, ObjectNode) else None
    )
    values = array.values() if array else None
    return values is not None and len(values) == n_features and any(values)


def _hist_nodes_of(predictor: ObjectNode, n_features: int, knows_categories: bool) -> Scan:
    state = attributes(predictor)
    nodes = stored_array(state.get("nodes"), "the nodes of a tree")
    objects.require_layout(nodes, *_HIST_LAYOUTS)
    require(nodes.size > 0, "a tree has no nodes")
    sets = 0
    if "raw_left_cat_bitsets" in state and knows_categories:
        bits = stored_array(state["raw_left_cat_bitsets"], "the sets of categories")
        bits.expect({"u4"}, None, 8)
        sets = bits.shape[0]
    return scan_values(nodes, _hist_nodes(nodes, n_features, sets))


def _hist_nodes(nodes: StoredArray, n_features: int, sets: int) -> Rule:
    columns = objects.Columns(nodes.dtype, *_HIST_LINKS)
    first = 0
    while piece := (yield):
        _check_hist_nodes(columns.rows(piece), first, (nodes.size, n_features, sets))
        first += len(piece) // nodes.dtype.itemsize


def _check_hist_nodes(
    rows: Iterable[tuple[int, ...]], first: int, bounds: tuple[int, int, int]
) -> None:
    count, n_features, sets = bounds
    for number, (feature, left, right, is_leaf, *category) in enumerate(rows, first):
        if is_leaf:
            continue
        if not (number < left < count and number < right < count):
            raise InvariantError(
                f"node {number:,} of a tree has the children {left:,} and {right:,}, but children "
                f"follow their parent, and the tree has {count:,} nodes"
            )
        if not 0 <= feature < n_features:
            raise InvariantError(
                f"node {number:,} of a tree reads feature {feature:,}, but there are only "
                f"{n_features:,}"
            )
        if category and category[0] and category[1] >= sets:
            raise InvariantError(
                f"node {number:,} of a tree reads the set of categories {category[1]:,}, but there "
                f"are only {sets:,}"
            )
