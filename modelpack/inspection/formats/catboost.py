"""CatBoost `.cbm`.

Schema: catboost/libs/model/flatbuffers/model.fbs. Of TModelCore, field 1 are the trees, 2 what was
known in training, among it its options as JSON, and 3 names what follows the FlatBuffer. Of
TModelTrees, fields 1 to 3 are the splits of all trees (numbers of binary features), how many each
tree has, and where they begin; 8 the values of the leaves; 10 and 11, of trees that are not
symmetric, how far below a node its children lie (0: it is a leaf) and the leaf of each node; 17 the
splits once more, as bins.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from modelpack.types import Field, FieldType, Signature, Task

from .. import limits
from ..encodings.flatbuffers import Table
from ..facts.boosters import Booster, catboost_labels, class_names
from ..facts.boosters import catboost as facts_of
from ..facts.columns import scalar_type
from ..invariants import CODE
from ..nodes import Malformed, require
from .model import NativeModel, columns, no_prediction_finding, outputs

_MAGIC = b"CBM1"
_HEAD = len(_MAGIC) + 4
_FORMAT = "FlabuffersModel_v1"
_DIMENSION, _SPLITS, _SIZES, _STARTS, _LEAVES, _STEPS, _LEAF_OF_NODE, _BINS = (
    0,
    1,
    2,
    3,
    8,
    10,
    11,
    17,
)
_FLOATS, _ONE_HOT, _COUNTERS, _TEXTS, _ESTIMATED = 5, 6, 7, 12, 13
_BIN = 254
_MAX_DEPTH = 16
_MAX_OPTIONS = 2**24
_ONE_OF_SEVERAL = {"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll"}
_SEVERAL_AT_A_TIME = {"MultiLogloss", "MultiCrossEntropy"}
_RANKERS = ("YetiRank", "PairLogit", "Query", "LambdaMart", "Stochastic", "GroupQuantile")
_CLASSES: dict[Task, str] = {"classifier": "CatBoostClassifier", "regressor": "CatBoostRegressor"}


def read(data: bytes) -> NativeModel:
    """Raises:
    Malformed: the file is cut, or its trees are not what CatBoost's code believes.
    """
    require(len(data) >= _HEAD, "the CatBoost model ends too early", "truncated")
    size = struct.unpack_from("<I", data, len(_MAGIC))[0]
    require(size <= len(data) - _HEAD, "the CatBoost model ends too early", "truncated")
    core = data[: _HEAD + size]
    try:
        return _native_model(core, data[len(core) :], Table.root(core[_HEAD:]))
    except (struct.error, OverflowError, RecursionError):
        raise Malformed("malformed", "a CatBoost model points beyond its end") from None


def _native_model(core: bytes, rest: bytes, root: Table) -> NativeModel:
    trees = root.table(1)
    require(root.text(0) == _FORMAT, "a CatBoost model is of a format that is not known")
    if trees is None:
        raise Malformed("malformed", "a CatBoost model has no trees")
    if (
        len(core) + len(rest) > limits.MODEL_BYTES
    ):  # `facts` has only the beginning of a pickled one
        first = class_names(core)
        fits = first in (None, catboost_labels(root, first))
        require(fits, "a CatBoost model has other classes than its options tell", CODE)
    parts = root.size(3)
    unread = trees.size(_TEXTS) or trees.size(_ESTIMATED) or parts > 1
    if not unread:  # a model of texts has other parts than counters, too
        _check(trees)
        if parts == 1:
            check(rest)
        else:
            require(not rest, "bytes follow the end of the CatBoost model", "trailing-data")
    facts, loss = facts_of(core + rest), _loss(root)
    task = _task(loss)
    name = _CLASSES.get(task, "CatBoost")
    return NativeModel(
        estimator=f"catboost.core.{name}",
        framework="catboost",
        words="a CatBoost model (.cbm)",
        signature=_signature(facts, trees, loss),
        task=task,
        version=facts.version,
        names=(f"catboost.core:{name}",),
        problem=no_prediction_finding(
            "it has features of texts or embeddings, which are not read yet"
        )
        if unread
        else None,
    )


def _loss(root: Table) -> str:
    """The loss that was trained for, out of the options."""
    told = {pair.text(0): pair for pair in root.tables(2) if pair.size(0) <= len("training")}
    options = told.get("params")
    if options is None or options.size(1) > _MAX_OPTIONS:
        return ""
    try:
        loss: Any = json.loads(options.text(1))["loss_function"]["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return loss if isinstance(loss, str) else ""


def _task(loss: str) -> Task:
    if loss in _ONE_OF_SEVERAL | _SEVERAL_AT_A_TIME:
        return "classifier"
    return "unknown" if loss.startswith(_RANKERS) or not loss else "regressor"


def _signature(facts: Booster, trees: Table, loss: str) -> Signature:
    made, named = columns(facts.width or 0, facts.names)
    facts.describe(made)
    labels = facts.classes if loss in _ONE_OF_SEVERAL else None
    return Signature(
        inputs=tuple(column.field("number") for column in made),
        outputs=(_output(trees, labels, loss),),
        classes=labels,
        named=named,
        probabilities=labels is not None,
    )


def _output(trees: Table, labels: tuple[Any, ...] | None, loss: str) -> Field:
    count = outputs(trees.integer(_DIMENSION), "a CatBoost model")
    if labels is not None:
        shape = (1,) if count > 1 else ()  # of more than two labels it gives a column
        return Field("prediction", scalar_type(labels), shape, labels)
    kind: FieldType = "integer" if loss in _SEVERAL_AT_A_TIME else "number"
    return Field("prediction", kind, (count,) if count > 1 else ())


def _check(trees: Table) -> None:
    splits, sizes = trees.values(_SPLITS, "i"), trees.values(_SIZES, "i")
    _check_splits(trees, splits)
    end = 0
    for start, size in zip(trees.values(_STARTS, "i"), sizes, strict=False):
        require(start == end and size >= 0, "the trees of CatBoost are not where it tells", CODE)
        end += size
    fits = trees.size(_STARTS) == trees.size(_SIZES) and end == len(splits)
    require(fits, "the trees of a CatBoost model are not where it tells", CODE)
    if trees.size(_STEPS):
        _check_steps(trees, sizes)
    else:
        _check_leaves(trees, sizes)


def _check_splits(trees: Table, splits: tuple[int, ...]) -> None:
    """A split is one of the binary features: all borders and values of all features, numbered. The
    same as bins: the feature, cut into pieces of 254, in the lower half of 32 bits.
    """
    counts = [n for n in _borders(trees) if n]
    known, pieces = sum(counts), sum(-(-n // _BIN) for n in counts)
    fits = all(0 <= split < known for split in splits)
    require(fits, f"a tree asks for a split that is none of the {known:,}", CODE)
    bins = trees.values(_BINS, "I")
    fits = len(bins) in (0, len(splits)) and all(each & 0xFFFF < pieces for each in bins)
    require(fits, "a tree asks for a feature that a CatBoost model does not have", CODE)


def _borders(trees: Table) -> list[int]:
    """How many binary features each of the features gives."""
    numbers = [len(feature.values(3, "f")) for feature in trees.tables(_FLOATS)]
    values = [len(feature.values(1, "i")) for feature in trees.tables(_ONE_HOT)]
    return numbers + values + [len(each.values(1, "f")) for each in trees.tables(_COUNTERS)]


def _check_leaves(trees: Table, sizes: tuple[int, ...]) -> None:
    """A symmetric tree of n splits has 2**n leaves."""
    require(all(size <= _MAX_DEPTH for size in sizes), "a tree of CatBoost is too deep", CODE)
    leaves = sum(1 << size for size in sizes) * trees.integer(_DIMENSION)
    fits = len(trees.values(_LEAVES, "d")) == leaves
    require(fits, "the trees of a CatBoost model have not a value for each leaf", CODE)


def _check_steps(trees: Table, sizes: tuple[int, ...]) -> None:
    """Of each node, how far its children lie behind it: both 0 in a leaf."""
    leaf_of, end, node = trees.values(_LEAF_OF_NODE, "I"), 0, 0
    last = len(trees.values(_LEAVES, "d")) - trees.integer(_DIMENSION)
    steps = [(both & 0xFFFF, both >> 16) for both in trees.values(_STEPS, "I")]
    fits = len(steps) == len(leaf_of) == sum(sizes)
    require(fits, "the trees of a CatBoost model differ in length", CODE)
    for size in sizes:
        end += size
        for node in range(end - size, end):
            require(node + max(steps[node]) < end, "a tree of CatBoost leads out of itself", CODE)
            is_last = 0 in steps[node]
            require(not is_last or leaf_of[node] <= last, "a leaf of CatBoost has no value", CODE)


# Their number (uint32), and for each its size (uint32) and a FlatBuffer, TCtrValueTable: field 0
# is what is counted (its field 1 the kind), 1 a hash table, 2 the counts, 4 the number of classes
# of targets. The hash table has 2**n buckets of 12 bytes: a hash (uint64), and the number of its
# counts (uint32). It is searched from the bucket of a hash on, up to one that is empty.
_SIZE = struct.Struct("<I")
_BUCKET = struct.Struct("<QI")
_EMPTY = 2**64 - 1
_KINDS = 6
_OF_CLASSES, _MEANS = {0, 1}, {2, 3}  # else one number, of 4 bytes
_MAX_CLASSES = 100_000


def check(data: bytes) -> None:
    """Raises:
    Malformed: searching a table or reading what it finds would lead out of it.
    struct.error: the tables are cut, or point beyond their end.
    """
    (count,) = _SIZE.unpack_from(data)
    position = _SIZE.size
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, position)
        position += _SIZE.size
        require(size <= len(data) - position, "the counters of CatBoost end too early", "truncated")
        _check_table(Table.root(data[position : position + size]))
        position += size
    require(position == len(data), "bytes follow the end of the CatBoost model", "trailing-data")


def _check_table(table: Table) -> None:
    counted = table.table(0)
    kind = _kind(counted) if counted else _KINDS
    require(kind < _KINDS, "the counters of CatBoost are of a kind that it does not have", CODE)
    buckets, counts = table.raw(1), table.raw(2)
    number, rest = divmod(len(buckets), _BUCKET.size)
    is_power = number > 0 and number & (number - 1) == 0 and not rest
    require(is_power, "a hash table of CatBoost has not 2**n buckets", CODE)
    known = len(counts) // _width(kind, table.integer(4))
    has_end = False
    for key, index in _BUCKET.iter_unpack(buckets):
        has_end |= key == _EMPTY
        fits = key == _EMPTY or index < known
        require(fits, "a hash table of CatBoost leads to counts that there are not", CODE)
    require(has_end, "a hash table of CatBoost is full, and searching it has no end", CODE)


def _kind(counted: Table) -> int:
    """Once what is counted has been read to its end: features, and splits of 8 bytes."""
    combination = counted.table(0)
    if combination is not None:
        for field, code in ((0, "i"), (1, "q"), (2, "q")):
            combination.values(field, code)
    return counted.byte(1)


def _width(kind: int, classes: int) -> int:
    """How many bytes the counts of one value take."""
    if kind in _OF_CLASSES:
        require(0 < classes <= _MAX_CLASSES, "counters of CatBoost have no classes", CODE)
        return 4 * classes
    return 8 if kind in _MEANS else 4
