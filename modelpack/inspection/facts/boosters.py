"""Facts that boosters record, and the split values of trees.

Formats: the head of LightGBM's model text (`GBDT::SaveModelToString`); xgboost's UBJSON
(`XGBoosterSerializeToBuffer`), or JSON in older releases; catboost's FlatBuffers, with options in
JSON. The data is untrusted, and may be cut off where the parser stopped keeping it.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice

from modelpack.types import Scalar

from ..encodings import ubjson
from ..encodings.flatbuffers import Table
from ..nodes import Node
from ..pickle.ndarrays import Array, raw, scalar, view
from ..text import clean
from .categories import Hashes, hashes, lightgbm_columns, lightgbm_lists, xgboost_values
from .columns import Columns
from .estimators import EstimatorNode, attributes

Range = tuple[float, float]

_MAGIC = b"binf"
_PARAMETERS = struct.Struct("<4xIi")  # of LearnerModelParam: num_feature and num_class

_INDICATOR, _CATEGORY = "i", "c"
HANDLES = ("_handle", "handle", "__model")
"""Attributes of Boosters with the model that their library saved."""
_MAX_LIST_LENGTH = 1_000_000
_INTERVAL = re.compile(r"\[([-+.e\d]{1,32}):([-+.e\d]{1,32})\]")
_MAX_LABELS_LENGTH = 64_000
_LIGHTGBM_TEXTS = {"v2": "<2.3", "v3": ">=2.3,<4", "v4": ">=4"}
"""The version of LightGBM's model text -> the releases that write it."""


@dataclass(frozen=True)
class Booster:
    """The facts in a booster; None if the file does not contain one.

    Attributes:
        names: The names of the features.
        width: The number of features.
        groups: The number of classes, if there are more than one.
        targets: The number of outputs, if there are more than one.
        version: The version of the library, or a specifier.
        ranges: The range of each feature in training.
        splits: The split values of the trees.
        texts: The positions of features that are not numbers.
        kinds: The types of the features in XGBoost: q, float, int, i (boolean), c (category).
        categories: The categories by position of a feature of pandas' category dtype, empty if
            unknown.
        hashes: The hashes by position of a categorical feature of CatBoost.
        undecided: Whether there are categories, but it is unknown of which features.
        infos: `feature_infos` of LightGBM.
    """

    names: tuple[str, ...] | None = None
    width: int | None = None
    groups: int | None = None
    targets: int | None = None
    version: str | None = None
    ranges: tuple[Range | None, ...] = ()
    splits: SplitValues | None = None
    classes: tuple[Scalar, ...] | None = None
    texts: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ()
    categories: Mapping[int, tuple[Scalar, ...]] = field(default_factory=dict)
    hashes: Mapping[int, Hashes] = field(default_factory=dict)
    undecided: bool = False
    infos: tuple[str, ...] = ()

    def describe(self, columns: Columns) -> None:
        """Record these facts in the columns."""
        for index, column in enumerate(columns):
            column.nullable = index not in self.texts
            if index in self.hashes and column.type is None:
                self.hashes[index].describe(column)
        for column, kind in zip(columns, self.kinds, strict=False):
            if kind == _INDICATOR and column.type is None and not column.changed:
                column.flag()
        for column, found in zip(columns, self.ranges, strict=False):
            if found:
                column.between(*found)
        if self.splits:
            self.splits.describe(columns)
        for index, values in self.categories.items():
            if index < len(columns):
                columns[index].coded(values)


def booster(part: EstimatorNode) -> Booster | None:
    """Return the facts of the booster that a part is or contains, or None without a booster."""
    reader = _READERS.get(part.top)
    if reader is None:
        return None
    found = attributes(part.get("_Booster")) or part.attributes
    data = next(filter(None, (saved(found.get(name)) for name in HANDLES)), None)
    facts = reader(data) if data else None
    if facts is not None and part.top == "xgboost" and facts.names is None:
        facts = replace(facts, names=_listed_names(found.get("feature_names"), facts.width))
    if facts is None or part.top != "lightgbm" or not found.get("pandas_categorical"):
        return facts
    return with_categories(facts, found["pandas_categorical"])


def _listed_names(node: Node, width: int | None) -> tuple[str, ...] | None:
    """Return the names in the object of XGBoost before 1.4, whose format contains none."""
    if not isinstance(node, list) or len(node) != width:
        return None
    found = tuple(clean(name) for name in node if isinstance(name, str))
    generated = tuple(f"f{index}" for index in range(len(found)))
    return found if len(found) == width and found != generated else None


def with_categories(facts: Booster, node: Node) -> Booster:
    """Add the categories in `pandas_categorical`, an attribute of a Booster of LightGBM."""
    lists = lightgbm_lists(node)
    positions = lightgbm_columns(lists, facts.infos) if lists is not None else None
    if lists is None or positions is None:
        return replace(facts, undecided=True)
    return replace(facts, categories=dict(zip(positions, lists, strict=True)))


def saved(node: Node) -> bytes | None:
    """Return the model in an attribute of a Booster."""
    return node.encode("utf-8", "replace") if isinstance(node, str) else raw(node)


@lru_cache(maxsize=2)
def lightgbm(data: bytes) -> Booster:
    head, _, rest = data.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    lines = lines if rest else lines[:-1]  # the last line may be cut off
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    names = tuple(values["feature_names"].split(" ")) if values.get("feature_names") else None
    if names == tuple(f"Column_{i}" for i in range(len(names or ()))):
        names = None  # generated by lightgbm
    last = values.get("max_feature_idx", "")
    return Booster(
        names=tuple(map(clean, names)) if names else None,
        width=int(last) + 1 if _is_count(last) else None,
        groups=_count_above_one(values.get("num_class", "")),
        version=_LIGHTGBM_TEXTS.get(values.get("version", "")),
        ranges=tuple(_intervals(values.get("feature_infos", ""))),
        infos=tuple(values.get("feature_infos", "").split(" ")),
    )


def _intervals(infos: str) -> Iterator[Range | None]:
    """Yield the range [low:high] of each feature, or None for a category or an unused feature."""
    for info in infos.split(" ") if infos else ():
        match = _INTERVAL.fullmatch(info)
        try:
            yield (float(match[1]), float(match[2])) if match else None
        except ValueError:
            yield None


@lru_cache(maxsize=2)
def _xgboost(data: bytes) -> Booster:
    width = _number(data, "num_feature")
    if not width and not data.startswith(b"{"):
        return _xgboost_binary(data)
    names, kinds = _texts(data, "feature_names"), _texts(data, "feature_types")
    return Booster(
        names=names or None,
        kinds=kinds,
        categories=_xgboost_categories(data, kinds) if names else {},
        width=int(width) if _is_count(width) else None,
        groups=_count_above_one(_number(data, "num_class")),
        targets=_count_above_one(_number(data, "num_target")),
        version=_xgboost_version(data),
        splits=_splits(data),
    )


def _xgboost_binary(data: bytes) -> Booster:
    """Return the facts in the parameters of the learner, as XGBoost before 1.0 pickles them."""
    start = len(_MAGIC) if data.startswith(_MAGIC) else 0
    version = _xgboost_version(data)
    if len(data) < start + _PARAMETERS.size:
        return Booster(version=version)
    width, groups = _PARAMETERS.unpack_from(data, start)
    return Booster(version=version, width=width, groups=groups if groups > 1 else None)


def _texts(data: bytes, key: str) -> tuple[str, ...]:
    """Return a list of texts in UBJSON or JSON."""
    texts = ubjson.strings(data, key)
    if texts is None:
        try:
            found = json.loads(_list(data, key))
        except ValueError:  # a name with a bracket in it
            found = []
        texts = tuple(clean(each) for each in found if isinstance(each, str))
    return texts


def _list(data: bytes, key: str) -> bytes:
    """Return the text of the first list of this name in JSON, up to the first bracket."""
    match = re.search(rb'"%s":\s?\[' % key.encode(), data)
    # A regular expression would scan the rest again for each occurrence of the name.
    end = data.find(b"]", match.end(), match.end() + _MAX_LIST_LENGTH) if match else -1
    return data[match.end() - 1 : end + 1] if match and end >= 0 else b"[]"


def _xgboost_categories(data: bytes, kinds: Sequence[str]) -> dict[int, tuple[Scalar, ...]]:
    """Return the categories of columns of a DataFrame; releases before 3.1 do not write them."""
    try:
        containers = (found for found in ubjson.objects(data, "cats") if "enc" in found)
        values = xgboost_values(next(containers, {}))
    except (AttributeError, KeyError, TypeError, ValueError):
        values = {}
    positions = [index for index, kind in enumerate(kinds) if kind == _CATEGORY]
    return {index: values.get(index, ()) for index in positions}


def _splits(data: bytes) -> SplitValues:
    """Return the split values of the trees that were kept completely.

    Each tree has four arrays with a value for each node: the left child (-1 in a leaf), the
    threshold, the feature, and the kind (0 for a number).
    """
    splits, position = SplitValues(), 0
    while found := ubjson.numbers(data, "left_children", position):
        arrays, position = [found[0]], found[1]
        for key in ("split_conditions", "split_indices", "split_type"):
            found = ubjson.numbers(data, key, position)
            if found is None:
                return splits
            arrays.append(found[0])
            position = found[1]
        nodes = zip(*arrays, strict=False)
        splits.add((int(f), at) for child, at, f, kind in nodes if child >= 0 and kind == 0)
    return splits


def _number(data: bytes, key: str) -> str:
    """Return the digits of a number, which xgboost writes as a string, or ""."""
    digits = ubjson.string(data, key)
    if digits is None:
        match = re.search(rb'"%s":\s?"(\d{1,9})"' % key.encode(), data)
        digits = match[1].decode() if match else ""
    return digits


def _xgboost_version(data: bytes) -> str | None:
    """Return the version in UBJSON or JSON, or the releases that pickled in this form."""
    version = ubjson.integers(data, "version")
    if version and len(version) == 3:
        return ".".join(map(str, version))
    older = ">=1,<1.3" if data.startswith(b"CONFIG-offset:") else "<1"
    return _json_version(data) or (None if data.startswith(b"{") else older)


def _json_version(data: bytes) -> str | None:
    match = re.search(rb'"version":\s?\[(\d{1,3}),\s?(\d{1,3}),\s?(\d{1,3})\]', data)
    return b".".join(match.groups()).decode() if match else None


@lru_cache(maxsize=2)
def catboost(data: bytes) -> Booster:
    match = re.search(rb"CatBoost [Rr]elease (\d{1,3}(?:\.\d{1,3}){1,2})\b", data)
    facts = Booster(version=match[1].decode() if match else None, classes=class_names(data))
    try:
        return _with_features(facts, data)
    except struct.error:  # cut off
        return facts


def _with_features(facts: Booster, data: bytes) -> Booster:
    """Add the facts in TModelTrees (catboost/libs/model/flatbuffers).

    Field 0 is the number of outputs, and fields 4 and 5 are the features that are texts and
    numbers. Of a feature, field 1 or 2 is the position, 2 or 4 the name, 3 the split values.
    """
    size = struct.unpack_from("<I", data, 4)[0]
    core, rest = data[8 : 8 + size], data[8 + size :]
    root = Table.root(core)
    trees = root.table(1)
    if trees is None:
        return facts
    facts = replace(facts, classes=catboost_labels(root, facts.classes))
    texts, numbers, splits = trees.tables(4), trees.tables(5), SplitValues()
    names = {text.integer(1): text.text(2) for text in _if_names_fit(data, texts, 2)}
    names |= {number.integer(2): number.text(4) for number in _if_names_fit(data, numbers, 4)}
    for number in numbers:
        if not splits.is_full:
            position = number.integer(2)
            splits.add((position, border) for border in number.floats(3))
    whole = names.keys() == set(range(len(texts) + len(numbers)))
    return replace(
        facts,
        names=tuple(names[position] for position in sorted(names))
        if whole and all(names.values())
        else None,
        width=len(names) if whole else None,
        targets=_count_above_one(str(trees.integer(0))),
        splits=splits,
        texts=frozenset(text.integer(1) for text in texts),
        hashes=hashes(core, rest, trees),
    )


def _if_names_fit(data: bytes, features: list[Table], name: int) -> list[Table]:
    """Return the features unless their names exceed the data: many could share a long name."""
    return features if sum(f.size(name) for f in features) <= len(data) else []


def catboost_labels(root: Table, otherwise: tuple[Scalar, ...] | None) -> tuple[Scalar, ...] | None:
    """Return the labels that CatBoost predicts.

    Args:
        root: The model, whose field 2 describes the training.
        otherwise: The labels among the options of training. CatBoost uses them only if the model
            contains no description of its classes.
    """
    for key in ("class_params", "multiclass_params"):
        pairs = [pair for pair in root.tables(2) if pair.size(0) == len(key)]
        found = [pair.raw(1) for pair in pairs if pair.text(0) == key]
        if found:
            return _parse_labels(found[0]) if len(found) == 1 else None
    return otherwise


def _parse_labels(data: bytes) -> tuple[Scalar, ...] | None:
    try:
        pairs = json.loads(data, object_pairs_hook=list) if len(data) < _MAX_LABELS_LENGTH else ()
        (labels,) = (value for key, value in pairs if key == "class_names")
        return tuple(map(scalar, labels)) or None
    except (ValueError, TypeError, RecursionError):
        return None


def class_names(data: bytes) -> tuple[Scalar, ...] | None:
    """Return the labels that the data of CatBoost contain first, in the options of training."""
    start = data.find(b'"class_names":[')
    end = data.find(b"]", start, start + _MAX_LABELS_LENGTH)
    if start < 0 or end < 0:
        return None
    try:
        labels = json.loads(data[start + len('"class_names":') : end + 1])
    except ValueError:  # a label with a bracket in it
        return None
    return tuple(map(scalar, labels)) or None


def _count_above_one(digits: str) -> int | None:
    return int(digits) if _is_count(digits) and int(digits) > 1 else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


_READERS = {"lightgbm": lightgbm, "xgboost": _xgboost, "catboost": catboost}


# The nodes of a scikit-learn tree are a structured array with `left_child`, `right_child`,
# `feature` (-2 in a leaf), `threshold` and more. See sklearn/tree/_tree.pxd.
_MAX_SPLITS = 50_000
"""More do not change the ranges noticeably, and would dominate the time of an inspection."""

_MIN_THRESHOLDS = 8
"""Fewer distinct thresholds may cover only a small part of the range in training."""

_NODE = {"feature": ("i", 8), "threshold": ("f", 8)}
_MISSING_SINCE = {
    "DecisionTreeClassifier": (1, 3), "DecisionTreeRegressor": (1, 3),
    "RandomForestClassifier": (1, 4), "RandomForestRegressor": (1, 4),
    "ExtraTreeClassifier": (1, 6), "ExtraTreeRegressor": (1, 6),
    "ExtraTreesClassifier": (1, 6), "ExtraTreesRegressor": (1, 6),
}  # fmt: skip


class SplitValues:
    """Up to `_MAX_SPLITS` thresholds, by the number of their feature."""

    def __init__(self) -> None:
        self._thresholds: defaultdict[int, list[float]] = defaultdict(list)
        self._left = _MAX_SPLITS

    def add(self, splits: Iterable[tuple[int, float]]) -> None:
        for feature, threshold in islice(splits, max(self._left, 0)):
            if feature >= 0 and math.isfinite(threshold):
                self._thresholds[feature].append(threshold)
                self._left -= 1

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def describe(self, columns: Columns) -> None:
        """Set the median threshold of a column as its example, and the extremes as its range.

        The values in training reach a little further.
        """
        for index, column in enumerate(columns):
            found = sorted(self._thresholds.get(index, ()))
            if found:
                column.separated(found, _MIN_THRESHOLDS)


def splits_of(part: EstimatorNode) -> SplitValues:
    """Return the splits of a scikit-learn tree, forest or gradient boosting."""
    splits = SplitValues()
    if part.get("estimators_features_", "_estimators_features") is not None:
        return splits  # each tree has a different numbering of features
    for node in _trees(part):
        array = view(attributes(node).get("nodes"))
        if array is not None:
            splits.add(_node_splits(array))
    return splits


def takes_missing(part: EstimatorNode) -> bool:
    """Return whether its release of scikit-learn predicts rows with any missing values."""
    since = _MISSING_SINCE.get(part.name)
    if since is None or part.release < since or part.get("monotonic_cst") is not None:
        return False
    randomly = part.text("splitter") == "random" and part.release < (1, 6)
    by_median = part.text("criterion") == "absolute_error" and part.release < (1, 9)
    return not (randomly or by_median)


def _trees(part: EstimatorNode) -> list[Node]:
    """Return the compiled trees of the part, or of its `estimators_`."""
    own = part.get("tree_")
    if own is not None:
        return [own]
    grown = part.get("estimators_")
    array = view(grown)
    members = array.items if array else grown
    if not isinstance(members, list):
        return []
    return [attributes(node).get("tree_") for node in members]


def _node_splits(array: Array) -> Iterator[tuple[int, float]]:
    """Return the feature and threshold of each node, if the array was kept completely."""
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
