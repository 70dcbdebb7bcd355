"""The trees of histogram gradient boosting.

Compiled code goes from node to node by `left` and `right`, reads column `feature_idx` of a row, and
looks categories up in row `bitset_idx` of a table of bits; it looks at no bound
(sklearn/ensemble/_hist_gradient_boosting/_predictor.pyx).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..arrays import view
from ..nodes import Node, Obj
from . import records
from .objects import Broken, Stored, attributes, integer, require, stored
from .scans import Rule, Scan, scan

_FIELDS: records.Layout = {
    "value": {"f8"}, "count": {"u4"}, "feature_idx": {"u4", "i4", "i8"}, "threshold": {"f8"},
    "missing_go_to_left": {"u1"}, "left": {"u4"}, "right": {"u4"}, "gain": {"f8"},
    "depth": {"u4"}, "is_leaf": {"u1"}, "bin_threshold": {"u1"},
}  # fmt: skip
_CATEGORIES: records.Layout = {"is_categorical": {"u1"}, "bitset_idx": {"u4"}}
_LAYOUTS: tuple[records.Layout, ...] = (
    {name: codes for name, codes in _FIELDS.items() if name != "missing_go_to_left"},
    _FIELDS,
    {("num_threshold" if name == "threshold" else name): codes
     for name, codes in {**_FIELDS, **_CATEGORIES}.items()},
)  # fmt: skip
"""Of the nodes in scikit-learn 0.21, since 0.22, and since 0.24, which knows categories."""

_LINKS = ("feature_idx", "left", "right", "is_leaf", "is_categorical", "bitset_idx")
_FEATURES = ("n_features_in_", "n_features_", "_n_features")


def histogram_boosting(made: Obj) -> Iterator[Scan]:
    state = attributes(made)
    if state.get("_predictors") is None:
        return
    told = {integer(state[name]) for name in _FEATURES if name in state}
    if len(told) != 1 or None in told:
        raise Broken("the number of features of a gradient boosting is not told")
    n_features = next(n for n in told if n is not None)
    knows_categories = _knows_categories(state.get("_bin_mapper"), n_features)
    for predictor in _predictors(state["_predictors"]):
        yield _nodes_of(predictor, n_features, knows_categories)


def _predictors(node: Node) -> Iterator[Obj]:
    for group in node if isinstance(node, list) else [None]:
        for predictor in group if isinstance(group, list) else [None]:
            if not isinstance(predictor, Obj):
                raise Broken("the trees of a gradient boosting are no lists of trees")
            yield predictor


def _knows_categories(mapper: Node, n_features: int) -> bool:
    """Whether known categories are looked up: there is a table of them for a feature at least."""
    array = view(attributes(mapper).get("is_categorical_")) if isinstance(mapper, Obj) else None
    values = array.values() if array else None
    return values is not None and len(values) == n_features and any(values)


def _nodes_of(predictor: Obj, n_features: int, knows_categories: bool) -> Scan:
    state = attributes(predictor)
    nodes = stored(state.get("nodes"), "the nodes of a tree")
    records.expect(nodes, *_LAYOUTS)
    require(nodes.size > 0, "a tree has no nodes")
    sets = 0
    if "raw_left_cat_bitsets" in state and knows_categories:
        bits = stored(state["raw_left_cat_bitsets"], "the sets of categories")
        bits.expect({"u4"}, None, 8)
        sets = bits.shape[0]
    return scan(nodes, _nodes(nodes, n_features, sets))


def _nodes(nodes: Stored, n_features: int, sets: int) -> Rule:
    columns = records.Columns(nodes.dtype, *_LINKS)
    first = 0
    while piece := (yield):
        _look(columns.rows(piece), first, (nodes.size, n_features, sets))
        first += len(piece) // nodes.dtype.itemsize


def _look(rows: Iterable[tuple[int, ...]], first: int, bounds: tuple[int, int, int]) -> None:
    count, n_features, sets = bounds
    for number, (feature, left, right, is_leaf, *category) in enumerate(rows, first):
        if is_leaf:
            continue
        if not (number < left < count and number < right < count):
            raise Broken(
                f"node {number:,} of a tree has the children {left:,} and {right:,}, and the tree "
                f"has {count:,} nodes, each before its children"
            )
        if not 0 <= feature < n_features:
            raise Broken(
                f"node {number:,} of a tree asks for feature {feature:,}, and there are "
                f"{n_features:,}"
            )
        if category and category[0] and category[1] >= sets:
            raise Broken(
                f"node {number:,} of a tree asks for the set of categories {category[1]:,}, and "
                f"there are {sets:,}"
            )
