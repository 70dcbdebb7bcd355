"""Decision trees, and the estimators that send rows down their own.

Compiled code goes from node to node by `left_child` and `right_child`, reads column `feature` of a
row, and looks at no bound: sklearn/tree/_tree.pyx, where `_check_node_ndarray` sees to the dtype
and the shape only. A child comes after its parent, so that each way down ends.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

from ..arrays import view
from ..nodes import Node, Obj
from . import lanes, records
from .objects import Broken, Stored, attributes, integer, require, stored
from .scans import PIECE, Rule, Scan, scan

_INDEX = {"i4", "i8"}
_FIELDS: records.Layout = {
    "left_child": _INDEX,
    "right_child": _INDEX,
    "feature": _INDEX,
    "threshold": {"f8"},
    "impurity": {"f8"},
    "n_node_samples": _INDEX,
    "weighted_n_node_samples": {"f8"},
}
_LAYOUTS = (_FIELDS, {**_FIELDS, "missing_go_to_left": {"u1"}})
"""Of the nodes before and since scikit-learn 1.3; indices take 4 bytes in builds for 32 bits."""

_LINKS = ("left_child", "right_child", "feature")
_LEAF, _UNDEFINED = -1, -2


def tree(made: Obj) -> Iterator[Scan]:
    """`sklearn.tree._tree.Tree(n_features, n_classes, n_outputs)`."""
    n_features, *shape = _arguments(made)
    nodes, depth = _nodes_of(made, shape)
    is_small = nodes.size * nodes.dtype.itemsize <= PIECE
    yield scan(nodes, _nodes(nodes, n_features, depth if is_small else None))


def decision_tree(made: Obj) -> Iterator[Scan]:
    """An estimator with one tree: it looks at the number of its own features only."""
    _of_as_many_features(attributes(made).get("tree_"), attributes(made))
    yield from ()


def gradient_boosting(made: Obj) -> Iterator[Scan]:
    """It looks at the features of none of its trees, and adds the output of as many to each row as
    `estimators_` has columns.
    """
    state = attributes(made)
    if state.get("estimators_") is None:
        return
    trees = stored(state["estimators_"], "the trees of a gradient boosting")
    trees.expect({"O4", "O8"}, None, _outputs(state))
    yield Scan(trees.content, 1, _estimators(state))


def isolation_forest(made: Obj) -> Iterator[Scan]:
    """Some releases ask its trees for the paths of rows, into memory for `max_depth` nodes each."""
    estimators = attributes(made).get("estimators_")
    for estimator in estimators if isinstance(estimators, list) else ():
        found = _tree_of(estimator)
        if found is not None:
            n_features, *shape = _arguments(found)
            nodes, depth = _nodes_of(found, shape)
            yield scan(nodes, _nodes(nodes, n_features, depth))


def _estimators(state: dict[str, Node]) -> Rule:
    while estimators := (yield):
        for estimator in estimators:
            _of_as_many_features(_tree_of(estimator), state)


def _outputs(state: dict[str, Node]) -> int:
    """The columns of the raw predictions of a gradient boosting."""
    classes = view(state.get("classes_"))
    columns = classes.size if classes and classes.size > 2 else 1
    told = [integer(state[name]) for name in ("n_trees_per_iteration_",) if name in state]
    start = state.get("init_")
    first = view(attributes(start).get("classes_")) if isinstance(start, Obj) else None
    agree = first is None or classes is None or first.size == classes.size
    require(agree and set(told) <= {columns}, "a gradient boosting has other classes than it has")
    return columns


def _tree_of(estimator: Node) -> Obj | None:
    found = attributes(estimator).get("tree_") if isinstance(estimator, Obj) else None
    return found if isinstance(found, Obj) else None


def _of_as_many_features(tree: Node, state: dict[str, Node]) -> None:
    if tree is None:
        return
    told = {integer(state[name]) for name in ("n_features_in_", "n_features_") if name in state}
    n_features = integer(tree.args[0]) if isinstance(tree, Obj) and tree.args else None
    if told != {n_features}:
        raise Broken("a tree was made for other features than the estimator that it belongs to")


def _arguments(made: Obj) -> tuple[int, int, int]:
    """n_features, n_outputs, and the most classes that an output has."""
    args = made.args if len(made.args) == 3 else (None, None, None)
    n_features, n_outputs, classes = integer(args[0]), integer(args[2]), view(args[1])
    counts = [n for n in (classes and classes.values()) or () if type(n) is int and n > 0]
    if (
        not n_features
        or not n_outputs
        or n_outputs != len(counts)
        or not 0 < n_features < lanes.LIMIT
    ):
        raise Broken("the numbers of features, outputs and classes of a tree contradict each other")
    return n_features, n_outputs, max(counts)


def _nodes_of(made: Obj, shape: list[int]) -> tuple[Stored, int]:
    """The nodes of a tree and its depth."""
    state = attributes(made)
    missing = {"max_depth", "node_count", "nodes", "values"} - state.keys()
    require(not missing, "a tree has no nodes")
    nodes = stored(state["nodes"], "the nodes of a tree")
    records.expect(nodes, *_LAYOUTS)
    count, depth = nodes.size, integer(state["max_depth"])
    require(0 < count < lanes.LIMIT, "a tree has no nodes")
    require(integer(state["node_count"]) == count, "a tree counts its nodes wrongly")
    stored(state["values"], "the values of a tree").expect({"f8"}, count, *shape)
    if depth is None or not 0 <= depth < count:
        raise Broken("the depth of a tree contradicts the number of its nodes")
    return nodes, depth


def _nodes(nodes: Stored, n_features: int, depth: int | None) -> Rule:
    """Children come after their parent, and exist; so do features. No node lies deeper than `depth`
    tells; None: that does not matter.
    """
    words = records.words(nodes.dtype, *_LINKS)
    rows = records.Columns(nodes.dtype, *_LINKS).rows
    depths = array("i", bytes(4 * nodes.size)) if depth is not None else None
    first = 0
    while piece := (yield):
        if words is None or not _sound(piece, nodes, words, first, n_features):
            _look(rows(piece), nodes, first, n_features)
        if depths is not None:
            _descend(rows(piece), depths, first)
        first += len(piece) // nodes.dtype.itemsize
    if depths is not None and depth is not None and max(depths) > depth:
        raise Broken(f"a tree is {max(depths):,} levels deep and says that it has {depth:,}")


def _descend(rows: Iterable[tuple[int, ...]], depths: array[int], first: int) -> None:
    for number, (left, right, _) in enumerate(rows, first):
        if left != _LEAF:
            depths[left] = depths[right] = depths[number] + 1


def _look(rows: Iterable[tuple[int, ...]], nodes: Stored, first: int, n_features: int) -> None:
    """Node by node, to say which one is broken."""
    for number, (left, right, feature) in enumerate(rows, first):
        if left == right == _LEAF and feature == _UNDEFINED:
            continue
        for child in (left, right):
            if not number < child < nodes.size:
                raise Broken(
                    f"node {number:,} of a tree has the child {child:,}, and the tree has "
                    f"{nodes.size:,} nodes, each before its children"
                )
        if not 0 <= feature < n_features:
            raise Broken(
                f"node {number:,} of a tree asks for feature {feature:,}, and there are "
                f"{n_features:,}"
            )


def _sound(piece: bytes, nodes: Stored, words: list[int], first: int, n_features: int) -> bool:
    """`_look` for all nodes of a piece at once: True only where it finds nothing.

    The upper halves of the three fields are all ones in a leaf (-1, -1, -2) and zero elsewhere.
    """
    table = array("I")
    table.frombytes(piece)
    step = nodes.dtype.itemsize // lanes.WIDTH
    low = [table[word::step].tobytes() for word in words]
    high = [table[word + 1 :: step].tobytes() for word in words]
    one = lanes.ones(len(piece) // nodes.dtype.itemsize)
    leaf = int.from_bytes(high[0], "little")
    is_leaf = leaf & one
    if not high[0] == high[1] == high[2] or leaf != (is_leaf << 32) - is_leaf:
        return False
    left, right, feature = (int.from_bytes(column, "little") ^ leaf for column in low)
    if left & leaf or right & leaf or feature & leaf != is_leaf:
        return False
    number = lanes.numbers(len(piece) // nodes.dtype.itemsize) + first * one
    past = leaf & (one << 31) - one  # greater than any number: a leaf has nothing to compare
    return (  # as trees are built, the left child comes first; others are looked at by node
        lanes.less(number, left | past, one)
        and lanes.less(left, right | past, one)
        and lanes.less(right, nodes.size * one, one)
        and lanes.less(feature ^ is_leaf, n_features * one, one)
    )
