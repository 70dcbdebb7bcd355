"""The values at which trees split each feature: they lie between those that training met.

The nodes of a scikit-learn tree are a structured array: `left_child`, `right_child`, `feature` (-2
in a leaf), `threshold` and more (sklearn/tree/_tree.pxd).
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from ..arrays import Array, view
from ..nodes import Node
from .columns import Columns
from .parts import Part, attributes

_MOST_SPLITS = 50_000
"""More do not change what is plausible, and take longer than all else that is read."""

_ENOUGH = 8
"""Fewer different thresholds may all lie in one corner of what training met."""

_NODE = {"feature": ("i", 8), "threshold": ("f", 8)}
_MISSING_SINCE = {
    "DecisionTreeClassifier": (1, 3), "DecisionTreeRegressor": (1, 3),
    "RandomForestClassifier": (1, 4), "RandomForestRegressor": (1, 4),
    "ExtraTreeClassifier": (1, 6), "ExtraTreeRegressor": (1, 6),
    "ExtraTreesClassifier": (1, 6), "ExtraTreesRegressor": (1, 6),
}  # fmt: skip


class Splits:
    """Thresholds by the number of their feature, as many as are looked at."""

    def __init__(self) -> None:
        self._thresholds: defaultdict[int, list[float]] = defaultdict(list)
        self._left = _MOST_SPLITS

    def add(self, splits: Iterable[tuple[int, float]]) -> None:
        for feature, threshold in islice(splits, max(self._left, 0)):
            if feature >= 0 and math.isfinite(threshold):
                self._thresholds[feature].append(threshold)
                self._left -= 1

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def tell(self, columns: Columns) -> None:
        """Give the columns a threshold from the middle as example, and the least and greatest as
        range: what training met reaches a little further.
        """
        for index, column in enumerate(columns):
            found = sorted(self._thresholds.get(index, ()))
            if found:
                column.separated(found, _ENOUGH)


def splits_of(part: Part) -> Splits:
    """Those of a scikit-learn tree, or of a forest or gradient boosting of them."""
    splits = Splits()
    if part.get("estimators_features_", "_estimators_features") is not None:
        return splits  # each tree numbers the features in its own way
    for node in _trees(part):
        array = view(attributes(node).get("nodes"))
        if array is not None:
            splits.add(_of_nodes(array))
    return splits


def takes_missing(part: Part) -> bool:
    """Whether its release of scikit-learn predicts with missing values, seen in training or not."""
    since = _MISSING_SINCE.get(part.name)
    if since is None or part.release < since or part.get("monotonic_cst") is not None:
        return False
    randomly = part.text("splitter") == "random" and part.release < (1, 6)
    by_median = part.text("criterion") == "absolute_error" and part.release < (1, 9)
    return not (randomly or by_median)


def _trees(part: Part) -> list[Node]:
    """The compiled trees of the part, or of its `estimators_`: a list, or an array of objects."""
    own = part.get("tree_")
    if own is not None:
        return [own]
    grown = part.get("estimators_")
    array = view(grown)
    members = array.items if array else grown
    if not isinstance(members, list):
        return []
    return [attributes(node).get("tree_") for node in members]


def _of_nodes(array: Array) -> Iterator[tuple[int, float]]:
    """Of an array that was kept as a whole, the feature and threshold of each node."""
    size, data = array.dtype.itemsize, array.data
    at = {name: offset for name, offset, dtype in array.dtype.fields
          if (dtype.kind, dtype.itemsize) == _NODE.get(name) and not dtype.big_endian}  # fmt: skip
    if data is None or at.keys() != _NODE.keys() or len(data) != size * array.size:
        return iter(())
    feature, threshold = at["feature"], at["threshold"]
    gap, rest = threshold - feature - 8, size - threshold - 8
    if gap < 0:
        return iter(())
    return struct.iter_unpack(f"<{feature}xq{gap}xd{rest}x", data)
