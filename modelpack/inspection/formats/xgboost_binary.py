"""XGBoost's binary format before 3.1.

A file is a sequence of little-endian structs, as XGBoost 2.0 has them in memory:

1. `LearnerModelParam` (136 bytes).
2. Names of objective and booster (a length of 8 bytes, then text).
3. For trees: `GBTreeModelParam` (160 bytes), each tree (`TreeParam` of 148 bytes, then per node 20
   bytes and 16 of statistics), the index of the output of each tree.
4. Attributes (pairs of text); before 1.0 for count:poisson the text of a parameter, which later
   releases would read as names of metrics; and names of metrics.
"""

from __future__ import annotations

import struct

from ..nodes import require
from ..text import clean
from . import xgboost
from .model import NativeModel
from .xgboost import Tree

MAGIC = b"binf"
_LEARNER = struct.Struct("<fIiiiIIII100x")
_TREES = struct.Struct("<iiii8xii128x")
_TREE = struct.Struct("<iiiiii124x")
_LINEAR = struct.Struct("<Ii128x")
_NODE = struct.Struct("<iiiIf")
_STATISTICS = 16
_LENGTH = struct.Struct("<Q")
_POISSON = "count:poisson"
_DEPRECATED, _REMOVED = (2, 1), (3, 1)
"""Releases before 2.1 read the files of older ones. 2.1 and later warn, 3.1 rejects them."""


def read(data: bytes) -> NativeModel:
    """Read a binary file.

    Raises:
        Malformed: The file is truncated, or XGBoost would read outside its arrays.
    """
    return xgboost.native_model(_learner(data))


def read_learner(data: bytes) -> xgboost.Learner:
    """Read a binary file, and keep its trees.

    Raises:
        Malformed: As for `read`.
    """
    return _learner(data, trees=[])


def _learner(data: bytes, trees: list[Tree] | None = None) -> xgboost.Learner:
    cursor = _Cursor(data, len(MAGIC) if data.startswith(MAGIC) else 0)
    base_score, width, groups, attributes, metrics, major, minor, targets, _ = cursor.take(_LEARNER)
    objective, booster = cursor.text(), cursor.text()
    learner = xgboost.Learner(
        description="an XGBoost model in the binary format of releases before 3.1",
        width=width,
        groups=max(groups, 0),
        targets=targets,
        objective=objective,
        version=_specifier(major, minor),
        base_scores=[base_score],
        base_is_margin=not major and not objective.startswith("multi:"),
        trees=trees,
    )
    _read_booster(cursor, booster, learner)
    pairs = [(cursor.text(), cursor.text()) for _ in range(cursor.length() if attributes else 0)]
    xgboost.read_best(dict(pairs), learner)
    if objective == _POISSON and not major:
        cursor.text()
        learner.version = "<1"
    # Since 1.0 the attributes contain the names of metrics, and the flag remains.
    for _ in range(cursor.length() if metrics and cursor.left else 0):
        cursor.text()
    require(cursor.left == 0, "bytes follow the end of the XGBoost model", "trailing-data")
    return learner


def _specifier(major: int, minor: int) -> str:
    """Return the releases that read the file. Releases before 1.0 did not record their version."""
    release = (major, minor)
    if release < _DEPRECATED:
        return f">={major}.{minor},<2.1" if major else "<2.1"
    require(release < _REMOVED, f"XGBoost {major}.{minor} does not write this format")
    return f">={major}.{minor},<3.1"


def _read_booster(cursor: _Cursor, name: str, learner: xgboost.Learner) -> None:
    learner.booster = xgboost.require_booster(name)
    if name == "gblinear":
        cursor.take(_LINEAR)
        learner.weights = cursor.floats()
        xgboost.check_weights(len(learner.weights), learner)
        return
    count, parallel, *_, leaf_size = cursor.take(_TREES)
    learner.parallel_trees = max(parallel, 1)  # the number of roots in older releases, always 1
    require(0 <= count <= cursor.left // _TREE.size, "the file ends before its trees", "truncated")
    require(leaf_size in (0, 1), "XGBoost never wrote trees with several outputs to such files")
    for _ in range(count):
        _read_tree(cursor, learner)
    learner.tree_outputs = struct.unpack(f"<{count}i", cursor.bytes(4 * count))
    xgboost.check_groups(learner.tree_outputs, count, learner)
    if name == "dart":
        learner.tree_weights = cursor.floats()
        xgboost.check_tree_weights(len(learner.tree_weights), count)


def _read_tree(cursor: _Cursor, learner: xgboost.Learner) -> None:
    roots, count, _, _, _, leaf_size = cursor.take(_TREE)
    fits = 0 < count <= cursor.left // (_NODE.size + _STATISTICS)
    require(fits, "the file ends before the nodes of a tree", "truncated")
    fits = roots == 1 and leaf_size in (0, 1)
    require(fits, "a tree of XGBoost has several roots or several outputs")
    nodes = list(_NODE.iter_unpack(cursor.bytes(_NODE.size * count)))
    cursor.skip(_STATISTICS * count)
    parents, left, right, indices, thresholds = zip(*nodes, strict=True)
    features = [index & 0x7FFFFFFF for index in indices]
    is_left = [index >> 31 for index in indices]
    tree = Tree(parents, left, right, features, thresholds, missing_left=is_left)
    xgboost.add_tree(tree, learner)


class _Cursor:
    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, kind: struct.Struct) -> tuple[int, ...]:
        return kind.unpack(self.bytes(kind.size))

    def bytes(self, count: int) -> bytes:
        require(count <= self.left, "the XGBoost model ends too early", "truncated")
        self._position += count
        return self._data[self._position - count : self._position]

    def skip(self, count: int) -> None:
        self.bytes(count)

    def floats(self) -> tuple[float, ...]:
        count = self.length(4)
        return struct.unpack(f"<{count}f", self.bytes(4 * count))

    def length(self, size: int = 1) -> int:
        """Read the number of the next items, of at least `size` bytes each."""
        (count,) = self.take(_LENGTH)
        require(count * size <= self.left, "the XGBoost model ends too early", "truncated")
        return count

    def text(self) -> str:
        return clean(self.bytes(self.length()).decode("utf-8", "replace"))
