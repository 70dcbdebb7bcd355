"""Split values, and what boosters record of themselves.

Formats: LightGBM's model text (`GBDT::SaveModelToString`), of which the head is read; xgboost's
UBJSON (`XGBoosterSerializeToBuffer`), or JSON in the older one; catboost's FlatBuffers, and the
options in them, which are JSON. All of it is of an untrusted file, read as far as it was kept.
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
from ..pickle.ndarrays import Array, clean, raw, scalar, view
from .categories import Hashes, hashes, lightgbm_columns, lightgbm_lists, xgboost_values
from .columns import Columns
from .estimators import EstimatorNode, attributes

Range = tuple[float, float]

_INDICATOR, _CATEGORY = "i", "c"
_HANDLES = ("_handle", "handle", "__model")
_MAX_LIST_LENGTH = 1_000_000
_INTERVAL = re.compile(r"\[([-+.e\d]{1,32}):([-+.e\d]{1,32})\]")
_MAX_LABELS_LENGTH = 64_000
_LIGHTGBM_TEXTS = {"v2": "<2.3", "v3": ">=2.3,<4", "v4": ">=4"}
"""The version of LightGBM's text -> the releases that write it."""


@dataclass(frozen=True)
class Booster:
    """`names` of the features, `width` their number, `groups` and `targets` the number of classes
    and of outputs where there are several, `ranges` of the features in training, `splits` of its
    trees, `classes` the labels, `texts` the positions of features that are no numbers, `kinds` the
    types of the features as XGBoost has them (q, float, int, i: boolean, c: category); `categories`
    by the position of a feature of pandas' category dtype, empty if they are unknown; `hashes` by
    the position of CatBoost's features of categories; `undecided`: there are categories, and it is
    unknown of which features; `infos` as LightGBM writes them; `version` of the library, or a
    specifier. None where not told.
    """

    names: tuple[str, ...] | None = None
    width: int | None = None
    groups: int | None = None
    targets: int | None = None
    version: str | None = None
    ranges: tuple[Range | None, ...] = ()
    splits: Splits | None = None
    classes: tuple[Scalar, ...] | None = None
    texts: frozenset[int] = frozenset()
    kinds: tuple[str, ...] = ()
    categories: Mapping[int, tuple[Scalar, ...]] = field(default_factory=dict)
    hashes: Mapping[int, Hashes] = field(default_factory=dict)
    undecided: bool = False
    infos: tuple[str, ...] = ()

    def describe(self, columns: Columns) -> None:
        """Record in the columns what is known of them."""
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
            self.splits.tell(columns)
        for index, values in self.categories.items():
            if index < len(columns):
                columns[index].coded(values)


def booster(part: EstimatorNode) -> Booster | None:
    """What the booster that the part is or holds tells; None if there is none."""
    reader = _READERS.get(part.top)
    if reader is None:
        return None
    found = attributes(part.get("_Booster")) or part.attributes
    data = next(filter(None, (_saved(found.get(name)) for name in _HANDLES)), None)
    told = reader(data) if data else None
    if told is None or part.top != "lightgbm" or not found.get("pandas_categorical"):
        return told
    return _with_categories(told, found["pandas_categorical"])


def _with_categories(told: Booster, node: Node) -> Booster:
    lists = lightgbm_lists(node)
    places = lightgbm_columns(lists, told.infos) if lists is not None else None
    if lists is None or places is None:
        return replace(told, undecided=True)
    return replace(told, categories=dict(zip(places, lists, strict=True)))


def _saved(node: Node) -> bytes | None:
    return node.encode("utf-8", "replace") if isinstance(node, str) else raw(node)


@lru_cache(maxsize=2)
def lightgbm(data: bytes) -> Booster:
    head, _, rest = data.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    lines = lines if rest else lines[:-1]  # the last may have been cut off
    told = dict(line.split("=", 1) for line in lines if "=" in line)
    names = tuple(told["feature_names"].split(" ")) if told.get("feature_names") else None
    if names == tuple(f"Column_{i}" for i in range(len(names or ()))):
        names = None  # lightgbm's own
    last = told.get("max_feature_idx", "")
    return Booster(
        names=tuple(map(clean, names)) if names else None,
        width=int(last) + 1 if _is_count(last) else None,
        groups=_several(told.get("num_class", "")),
        version=_LIGHTGBM_TEXTS.get(told.get("version", "")),
        ranges=tuple(_intervals(told.get("feature_infos", ""))),
        infos=tuple(told.get("feature_infos", "").split(" ")),
    )


def _intervals(infos: str) -> Iterator[Range | None]:
    """Of each feature [low:high]; of a category, or one that was never used, None."""
    for info in infos.split(" ") if infos else ():
        match = _INTERVAL.fullmatch(info)
        try:
            yield (float(match[1]), float(match[2])) if match else None
        except ValueError:
            yield None


@lru_cache(maxsize=2)
def _xgboost(data: bytes) -> Booster:
    width = _number(data, "num_feature")
    names, kinds = _texts(data, "feature_names"), _texts(data, "feature_types")
    return Booster(
        names=names or None,
        kinds=kinds,
        categories=_xgboost_categories(data, kinds) if names else {},
        width=int(width) if _is_count(width) else None,
        groups=_several(_number(data, "num_class")),
        targets=_several(_number(data, "num_target")),
        version=_xgboost_version(data),
        splits=_splits(data),
    )


def _texts(data: bytes, key: str) -> tuple[str, ...]:
    """A list of texts, in UBJSON or JSON."""
    told = ubjson.strings(data, key)
    if told is None:
        try:
            found = json.loads(_list(data, key))
        except ValueError:  # a name with a bracket in it
            found = []
        told = tuple(clean(each) for each in found if isinstance(each, str))
    return told


def _list(data: bytes, key: str) -> bytes:
    """The text of the first list of this name in JSON, up to the first bracket."""
    match = re.search(rb'"%s":\s?\[' % key.encode(), data)
    # Not by the expression, which would read the same text again from each such name in it.
    end = data.find(b"]", match.end(), match.end() + _MAX_LIST_LENGTH) if match else -1
    return data[match.end() - 1 : end + 1] if match and end >= 0 else b"[]"


def _xgboost_categories(data: bytes, kinds: Sequence[str]) -> dict[int, tuple[Scalar, ...]]:
    """Of a DataFrame's columns; releases before 3.1 do not write them."""
    try:
        containers = (found for found in ubjson.objects(data, "cats") if "enc" in found)
        values = xgboost_values(next(containers, {}))
    except (AttributeError, KeyError, TypeError, ValueError):
        values = {}
    places = [index for index, kind in enumerate(kinds) if kind == _CATEGORY]
    return {index: values.get(index, ()) for index in places}


def _splits(data: bytes) -> Splits:
    """Those of the trees that were kept as a whole: of each an array of the left child of each node
    (-1 in a leaf), then one of its threshold, one of its feature, one of its kind (0: by number).
    """
    splits, position = Splits(), 0
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
    """The digits of a number, which xgboost writes as a string, in UBJSON or JSON; or ""."""
    told = ubjson.string(data, key)
    if told is None:
        match = re.search(rb'"%s":\s?"(\d{1,9})"' % key.encode(), data)
        told = match[1].decode() if match else ""
    return told


def _xgboost_version(data: bytes) -> str | None:
    """What UBJSON or JSON tells, or else which releases pickled in this form."""
    version = ubjson.integers(data, "version")
    if version and len(version) == 3:
        return ".".join(map(str, version))
    older = ">=1,<1.3" if data.startswith(b"CONFIG-offset:") else "<1"
    return _in_json(data) or (None if data.startswith(b"{") else older)


def _in_json(data: bytes) -> str | None:
    match = re.search(rb'"version":\s?\[(\d{1,3}),\s?(\d{1,3}),\s?(\d{1,3})\]', data)
    return b".".join(match.groups()).decode() if match else None


@lru_cache(maxsize=2)
def catboost(data: bytes) -> Booster:
    match = re.search(rb"CatBoost [Rr]elease (\d{1,3}(?:\.\d{1,3}){1,2})\b", data)
    told = Booster(version=match[1].decode() if match else None, classes=class_names(data))
    try:
        return _with_features(told, data)
    except struct.error:  # only the beginning was kept
        return told


def _with_features(told: Booster, data: bytes) -> Booster:
    """Fields of catboost's TModelTrees (catboost/libs/model/flatbuffers): 0 is the number of values
    that it gives, 4 and 5 the features that are texts and numbers. Of these, 1 or 2 is the position
    among all features, 2 or 4 the name, 3 the values at which trees split.
    """
    size = struct.unpack_from("<I", data, 4)[0]
    core, rest = data[8 : 8 + size], data[8 + size :]
    root = Table.root(core)
    trees = root.table(1)
    if trees is None:
        return told
    told = replace(told, classes=catboost_labels(root, told.classes))
    texts, numbers, splits = trees.tables(4), trees.tables(5), Splits()
    names = {text.integer(1): text.text(2) for text in _within(data, texts, 2)}
    names |= {number.integer(2): number.text(4) for number in _within(data, numbers, 4)}
    for number in numbers:
        if not splits.is_full:
            place = number.integer(2)
            splits.add((place, border) for border in number.floats(3))
    whole = names.keys() == set(range(len(texts) + len(numbers)))
    return replace(
        told,
        names=tuple(names[place] for place in sorted(names))
        if whole and all(names.values())
        else None,
        width=len(names) if whole else None,
        targets=_several(str(trees.integer(0))),
        splits=splits,
        texts=frozenset(text.integer(1) for text in texts),
        hashes=hashes(core, rest, trees),
    )


def _within(data: bytes, features: list[Table], name: int) -> list[Table]:
    """The features, if all their names together fit into the data: many could share a long one."""
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
            return _described(found[0]) if len(found) == 1 else None
    return otherwise


def _described(data: bytes) -> tuple[Scalar, ...] | None:
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


def _several(digits: str) -> int | None:
    return int(digits) if _is_count(digits) and int(digits) > 1 else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


_READERS = {"lightgbm": lightgbm, "xgboost": _xgboost, "catboost": catboost}


# The nodes of a scikit-learn tree are a structured array: `left_child`, `right_child`, `feature`
# (-2 in a leaf), `threshold` and more (sklearn/tree/_tree.pxd).
_MAX_SPLITS = 50_000
"""More do not change what is plausible, and take longer than all else that is read."""

_MIN_THRESHOLDS = 8
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
        self._left = _MAX_SPLITS

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
                column.separated(found, _MIN_THRESHOLDS)


def splits_of(part: EstimatorNode) -> Splits:
    """Those of a scikit-learn tree, or of a forest or gradient boosting of them."""
    splits = Splits()
    if part.get("estimators_features_", "_estimators_features") is not None:
        return splits  # each tree numbers the features in its own way
    for node in _trees(part):
        array = view(attributes(node).get("nodes"))
        if array is not None:
            splits.add(_of_nodes(array))
    return splits


def takes_missing(part: EstimatorNode) -> bool:
    """Whether its release of scikit-learn predicts with missing values, seen in training or not."""
    since = _MISSING_SINCE.get(part.name)
    if since is None or part.release < since or part.get("monotonic_cst") is not None:
        return False
    randomly = part.text("splitter") == "random" and part.release < (1, 6)
    by_median = part.text("criterion") == "absolute_error" and part.release < (1, 9)
    return not (randomly or by_median)


def _trees(part: EstimatorNode) -> list[Node]:
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
