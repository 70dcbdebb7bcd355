"""XGBoost's binary format before 3.1.

Little-endian structs one behind the other, as XGBoost 2.0 has them in memory: `LearnerModelParam`
(136 bytes), the names of objective and booster (a length of 8 bytes, and text), for trees
`GBTreeModelParam` (160), each tree (`TreeParam` of 148, then 20 bytes a node and 16 of statistics),
for each the number of its output; then attributes (pairs of text) and names of metrics.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..invariants import CODE
from ..nodes import require
from ..pickle.ndarrays import clean
from . import xgboost
from .model import NativeModel
from .xgboost import Tree, check_groups, check_tree

MAGIC = b"binf"
_LEARNER = struct.Struct("<fIiiiIIII100x")
_TREES = struct.Struct("<iiii8xii128x")
_TREE = struct.Struct("<iiiiii124x")
_LINEAR = struct.Struct("<Ii128x")
_NODE = struct.Struct("<iiiIf")
_STATISTICS = 16
_LENGTH = struct.Struct("<Q")
_MEASURED, _REMOVED = (2, 1), (3, 1)
"""Up to 2.0 each release reads what older ones wrote. Later ones warn of it, and 3.1 does not."""


def read(data: bytes) -> NativeModel:
    """Raises:
    Malformed: it is cut, or its trees are not what XGBoost's code believes.
    """
    cursor = _Cursor(data, len(MAGIC) if data.startswith(MAGIC) else 0)
    _, width, groups, attributes, metrics, major, minor, targets, _ = cursor.take(_LEARNER)
    objective, booster = cursor.text(), cursor.text()
    learner = xgboost.Learner(
        words="an XGBoost model in the binary format of before 3.1",
        width=width,
        groups=max(groups, 0),
        targets=targets,
        objective=objective,
        version=_specifier(major, minor),
    )
    _read_booster(cursor, booster, learner)
    for _ in range(2 * cursor.length() if attributes else 0):
        cursor.text()
    for _ in range(cursor.length() if metrics else 0):
        cursor.text()
    require(cursor.left == 0, "bytes follow the end of the XGBoost model", "trailing-data")
    return xgboost.native_model(learner)


def _specifier(major: int, minor: int) -> str:
    """The releases that read the file; those of before 1.0 wrote no version into it."""
    release = (major, minor)
    if release < _MEASURED:
        return f">={major}.{minor},<2.1" if major else "<2.1"
    require(release < _REMOVED, f"XGBoost {major}.{minor} writes no such files")
    return f">={major}.{minor},<3.1"


def _read_booster(cursor: _Cursor, name: str, learner: xgboost.Learner) -> None:
    groups = max(learner.groups, learner.targets, 1)
    if name == "gblinear":
        cursor.take(_LINEAR)
        weights = cursor.length(4)
        cursor.skip(4 * weights)
        fits = weights == (learner.width + 1) * groups
        require(fits, "a linear model of XGBoost has not a weight for each feature", CODE)
        return
    require(name in {"gbtree", "dart"}, f"XGBoost has no booster {name[:40]!a}")
    count, *_, leaf_size = cursor.take(_TREES)
    require(0 <= count <= cursor.left // _TREE.size, "the file ends before its trees", "truncated")
    require(leaf_size in (0, 1), "trees of XGBoost give several outputs each, which it never wrote")
    for _ in range(count):
        _read_tree(cursor, learner)
    outputs = struct.unpack(f"<{count}i", cursor.bytes(4 * count))
    check_groups(outputs, count, groups)
    if name == "dart":
        weights = cursor.length(4)
        cursor.skip(4 * weights)
        require(weights == count, "a model of XGBoost has not a weight for each tree", CODE)


def _read_tree(cursor: _Cursor, learner: xgboost.Learner) -> None:
    roots, count, _, _, _, leaf_size = cursor.take(_TREE)
    fits = 0 < count <= cursor.left // (_NODE.size + _STATISTICS)
    require(fits, "the file ends before the nodes of a tree", "truncated")
    require(roots == 1 and leaf_size in (0, 1), "a tree of XGBoost has not one root and one output")
    nodes = list(_NODE.iter_unpack(cursor.bytes(_NODE.size * count)))
    cursor.skip(_STATISTICS * count)
    parents, left, right, asked, thresholds = zip(*nodes, strict=True)
    features = [number & 0x7FFFFFFF for number in asked]  # the first bit: where the missing go
    tree = Tree(parents, left, right, features, thresholds)
    check_tree(tree, learner.width)
    learner.splits.add(_splits(tree))


def _splits(tree: Tree) -> Iterator[tuple[int, float]]:
    nodes = zip(tree.left, tree.features, tree.thresholds, strict=True)
    return ((feature, at) for left, feature, at in nodes if left >= 0)


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
        require(count <= self.left, "the model of XGBoost ends too early", "truncated")
        self._position += count
        return self._data[self._position - count : self._position]

    def skip(self, count: int) -> None:
        self.bytes(count)

    def length(self, size: int = 1) -> int:
        """What counts things of at least `size` bytes each."""
        (count,) = self.take(_LENGTH)
        require(count * size <= self.left, "the model of XGBoost ends too early", "truncated")
        return count

    def text(self) -> str:
        return clean(self.bytes(self.length()).decode("utf-8", "replace"))
