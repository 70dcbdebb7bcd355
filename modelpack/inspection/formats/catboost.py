"""CatBoost `.cbm`.

Schema: catboost/libs/model/flatbuffers/model.fbs.

Fields of TModelCore: 1 the trees; 2 metadata, with the training options as JSON; 3 names of the
parts behind the FlatBuffer.

Fields of TModelTrees: 1 the splits of all trees (indices of binary features); 2 the number of
splits of each tree; 3 the index of its first split; 8 the values of the leaves; 17 the splits once
more, as bins. For trees that are not symmetric: 10 the distance from a node to its children (0: it
is a leaf); 11 the leaf of each node.
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
_SINGLE_LABEL = {"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll"}
_MULTI_LABEL = {"MultiLogloss", "MultiCrossEntropy"}
_RANKERS = ("YetiRank", "PairLogit", "Query", "LambdaMart", "Stochastic", "GroupQuantile")
_CLASSES: dict[Task, str] = {"classifier": "CatBoostClassifier", "regressor": "CatBoostRegressor"}


def read(data: bytes) -> NativeModel:
    """Read a `.cbm` file.

    Raises:
        Malformed: The file is truncated, or CatBoost would read beyond its arrays.
    """
    require(len(data) >= _HEAD, "the CatBoost model ends too early", "truncated")
    size = struct.unpack_from("<I", data, len(_MAGIC))[0]
    require(size <= len(data) - _HEAD, "the CatBoost model ends too early", "truncated")
    core = data[: _HEAD + size]
    try:
        return _native_model(core, data[len(core) :], Table.root(core[_HEAD:]))
    except (struct.error, OverflowError, RecursionError):
        raise Malformed("malformed", "an offset in the CatBoost model is beyond its end") from None


def _native_model(core: bytes, rest: bytes, root: Table) -> NativeModel:
    trees = root.table(1)
    require(root.text(0) == _FORMAT, "the format of the CatBoost model is unknown")
    if trees is None:
        raise Malformed("malformed", "the CatBoost model has no trees")
    if len(core) + len(rest) > limits.MODEL_BYTES:
        # `facts` has only the beginning of such a model if it is in a pickle.
        first = class_names(core)
        fits = first in (None, catboost_labels(root, first))
        require(fits, "the classes of the CatBoost model differ from those in its options", CODE)
    parts = root.size(3)
    unread = trees.size(_TEXTS) or trees.size(_ESTIMATED) or parts > 1
    if not unread:  # models with text features have more parts than counters
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
        description="a CatBoost model (.cbm)",
        signature=_signature(facts, trees, loss),
        task=task,
        version=facts.version,
        names=(f"catboost.core:{name}",),
        problem=no_prediction_finding(
            "it has text or embedding features, which modelpack does not read yet"
        )
        if unread
        else None,
    )


def _loss(root: Table) -> str:
    """Return the loss function from the training options; "" if it is not recorded."""
    metadata = {pair.text(0): pair for pair in root.tables(2) if pair.size(0) <= len("training")}
    options = metadata.get("params")
    if options is None or options.size(1) > _MAX_OPTIONS:
        return ""
    try:
        loss: Any = json.loads(options.text(1))["loss_function"]["type"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return loss if isinstance(loss, str) else ""


def _task(loss: str) -> Task:
    if loss in _SINGLE_LABEL | _MULTI_LABEL:
        return "classifier"
    return "unknown" if loss.startswith(_RANKERS) or not loss else "regressor"


def _signature(facts: Booster, trees: Table, loss: str) -> Signature:
    inputs, named = columns(facts.width or 0, facts.names)
    facts.describe(inputs)
    labels = facts.classes if loss in _SINGLE_LABEL else None
    return Signature(
        inputs=tuple(column.field("number") for column in inputs),
        outputs=(_output(trees, labels, loss),),
        classes=labels,
        named=named,
        probabilities=labels is not None,
    )


def _output(trees: Table, labels: tuple[Any, ...] | None, loss: str) -> Field:
    count = outputs(trees.integer(_DIMENSION), "a CatBoost model")
    if labels is not None:
        shape = (1,) if count > 1 else ()  # for more than two labels, predict returns a column
        return Field("prediction", scalar_type(labels), shape, labels)
    kind: FieldType = "integer" if loss in _MULTI_LABEL else "number"
    return Field("prediction", kind, (count,) if count > 1 else ())


def _check(trees: Table) -> None:
    splits, sizes = trees.values(_SPLITS, "i"), trees.values(_SIZES, "i")
    _check_splits(trees, splits)
    end = 0
    for start, size in zip(trees.values(_STARTS, "i"), sizes, strict=False):
        fits = start == end and size >= 0
        require(fits, "a tree of the CatBoost model is not at its offset", CODE)
        end += size
    fits = trees.size(_STARTS) == trees.size(_SIZES) and end == len(splits)
    require(fits, "the tree sizes of the CatBoost model are inconsistent", CODE)
    if trees.size(_STEPS):
        _check_steps(trees, sizes)
    else:
        _check_leaves(trees, sizes)


def _check_splits(trees: Table, splits: tuple[int, ...]) -> None:
    """Check that each split is an existing binary feature.

    A binary feature is a border or a value of a feature. They are numbered over all features. In a
    bin, the lower 16 bits are the number of the feature, counted in pieces of 254 borders.
    """
    counts = [n for n in _borders(trees) if n]
    known, pieces = sum(counts), sum(-(-n // _BIN) for n in counts)
    fits = all(0 <= split < known for split in splits)
    require(fits, f"a tree uses a split that is not one of the {known:,} of the model", CODE)
    bins = trees.values(_BINS, "I")
    fits = len(bins) in (0, len(splits)) and all(each & 0xFFFF < pieces for each in bins)
    require(fits, "a tree uses a feature that the CatBoost model does not have", CODE)


def _borders(trees: Table) -> list[int]:
    """Return the number of binary features of each feature."""
    numbers = [len(feature.values(3, "f")) for feature in trees.tables(_FLOATS)]
    values = [len(feature.values(1, "i")) for feature in trees.tables(_ONE_HOT)]
    return numbers + values + [len(each.values(1, "f")) for each in trees.tables(_COUNTERS)]


def _check_leaves(trees: Table, sizes: tuple[int, ...]) -> None:
    """Check that each symmetric tree of n splits has 2**n leaves."""
    fits = all(size <= _MAX_DEPTH for size in sizes)
    require(fits, "a tree of the CatBoost model is too deep", CODE)
    leaves = sum(1 << size for size in sizes) * trees.integer(_DIMENSION)
    fits = len(trees.values(_LEAVES, "d")) == leaves
    require(fits, "the number of leaf values of the CatBoost model does not fit its trees", CODE)


def _check_steps(trees: Table, sizes: tuple[int, ...]) -> None:
    """Check the distances from each node to its children. Both are 0 in a leaf."""
    leaf_of, end, node = trees.values(_LEAF_OF_NODE, "I"), 0, 0
    last = len(trees.values(_LEAVES, "d")) - trees.integer(_DIMENSION)
    steps = [(both & 0xFFFF, both >> 16) for both in trees.values(_STEPS, "I")]
    fits = len(steps) == len(leaf_of) == sum(sizes)
    require(fits, "the node arrays of the CatBoost model differ in length", CODE)
    for size in sizes:
        end += size
        for node in range(end - size, end):
            fits = node + max(steps[node]) < end
            require(fits, "a child of a CatBoost tree is outside the tree", CODE)
            fits = 0 not in steps[node] or leaf_of[node] <= last
            require(fits, "a leaf of a CatBoost tree has no value", CODE)


# Counters: their number (uint32), and for each its size (uint32) and a FlatBuffer, TCtrValueTable.
# Its fields: 0 what is counted (field 1 of that: the kind), 1 a hash table, 2 the counts, 4 the
# number of target classes. The hash table has 2**n buckets of 12 bytes: a hash (uint64) and the
# index of its counts (uint32). CatBoost searches from the bucket of a hash to the next empty one.
_SIZE = struct.Struct("<I")
_BUCKET = struct.Struct("<QI")
_EMPTY = 2**64 - 1
_KINDS = 6
_CLASS_COUNTS, _MEANS = {0, 1}, {2, 3}  # other kinds have one number of 4 bytes
_MAX_CLASSES = 100_000


def check(data: bytes) -> None:
    """Check the counters of categorical features.

    Raises:
        Malformed: A search in a table would not end, or would read outside the table.
        struct.error: The tables are truncated, or an offset is beyond their end.
    """
    (count,) = _SIZE.unpack_from(data)
    position = _SIZE.size
    for _ in range(count):
        (size,) = _SIZE.unpack_from(data, position)
        position += _SIZE.size
        fits = size <= len(data) - position
        require(fits, "the counters of the CatBoost model end too early", "truncated")
        _check_table(Table.root(data[position : position + size]))
        position += size
    require(position == len(data), "bytes follow the end of the CatBoost model", "trailing-data")


def _check_table(table: Table) -> None:
    counted = table.table(0)
    kind = _kind(counted) if counted else _KINDS
    require(kind < _KINDS, "a counter of the CatBoost model is of an unknown kind", CODE)
    buckets, counts = table.raw(1), table.raw(2)
    number, rest = divmod(len(buckets), _BUCKET.size)
    is_power = number > 0 and number & (number - 1) == 0 and not rest
    require(is_power, "the size of a CatBoost hash table is not a power of two", CODE)
    known = len(counts) // _width(kind, table.integer(4))
    has_end = False
    for key, index in _BUCKET.iter_unpack(buckets):
        has_end |= key == _EMPTY
        fits = key == _EMPTY or index < known
        require(fits, "a CatBoost hash table has an index beyond its counts", CODE)
    require(has_end, "a CatBoost hash table has no empty bucket, so a search would not end", CODE)


def _kind(counted: Table) -> int:
    """Return the kind, and read the combination of features to its end on the way."""
    combination = counted.table(0)
    if combination is not None:
        for field, code in ((0, "i"), (1, "q"), (2, "q")):
            combination.values(field, code)
    return counted.byte(1)


def _width(kind: int, classes: int) -> int:
    """Return the number of bytes for the counts of one value."""
    if kind in _CLASS_COUNTS:
        fits = 0 < classes <= _MAX_CLASSES
        require(fits, "a counter of the CatBoost model has an invalid number of classes", CODE)
        return 4 * classes
    return 8 if kind in _MEANS else 4
