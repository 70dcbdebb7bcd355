"""XGBoost JSON and UBJSON, and the tree checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from modelpack.types import Field, Finding, Signature, Task

from .. import limits
from ..encodings import ubjson
from ..facts.boosters import Splits
from ..facts.categories import xgboost_values
from ..facts.columns import Column
from ..invariants import CODE
from ..nodes import Malformed, require
from ..pickle.ndarrays import clean
from .model import NativeModel, columns, no_prediction_finding, outputs

_RANKERS = "rank:"
_LABELS = "multi:softmax"
_WITH_PROBABILITIES = {"binary:logistic", "multi:softprob"}
_CLASSIFIER = "xgboost.sklearn.XGBClassifier"
_CLASSIFIERS = ("binary:", "multi:")
_INDICATOR, _CATEGORY = "i", "c"


@dataclass
class Learner:
    """What each of the formats tells: `groups` of classes, 0 where there are none; `targets`, the
    number of outputs of a regressor; `kinds` of the features: q, float, int, i, c. `known` are the
    values of those of kind c in a DataFrame, by the number of the feature. `wrapper`: what saved it
    of XGBoost's estimators for scikit-learn: "classifier", "regressor", "ranker" or "".
    """

    words: str
    width: int
    groups: int
    targets: int
    objective: str
    names: list[str] | None = None
    kinds: list[str] | None = None
    known: dict[int, tuple[Any, ...]] | None = None
    version: str | None = None
    problem: Finding | None = None
    wrapper: str = ""
    splits: Splits = field(default_factory=Splits)

    @property
    def predicts_labels(self) -> bool:
        """Whether XGBClassifier saved it, whose `predict` gives labels where a Booster's gives
        probabilities.
        """
        gives = self.objective in _WITH_PROBABILITIES and self.targets <= 1
        return gives and self.wrapper == "classifier"


def native_model(learner: Learner) -> NativeModel:
    return NativeModel(
        estimator=_CLASSIFIER if learner.predicts_labels else "xgboost.core.Booster",
        framework="xgboost",
        words=learner.words,
        signature=_signature(learner),
        task=_task(learner.objective),
        version=learner.version,
        problem=learner.problem,
    )


def _task(objective: str) -> Task:
    if objective.startswith(_CLASSIFIERS):
        return "classifier"
    return "unknown" if objective.startswith(_RANKERS) or not objective else "regressor"


def _signature(learner: Learner) -> Signature:
    made, named = columns(learner.width, learner.names)
    learner.splits.tell(made)
    for index, column in enumerate(made):
        column.nullable = True
        _tell(column, index, learner)
    count = outputs(max(learner.groups, learner.targets, 1), "an XGBoost model")
    labels = tuple(range(learner.groups)) if learner.groups > 1 else None
    gives_labels = learner.objective == _LABELS
    shape = (count,) if count > 1 and not gives_labels else ()
    inputs = tuple(column.field("number") for column in made)
    if learner.predicts_labels:
        labels = labels or (0, 1)
        output = Field("prediction", "integer", (), labels)
        return Signature(inputs, (output,), labels, named=named, probabilities=True)
    return Signature(
        inputs=inputs,
        outputs=(Field("prediction", "number", shape, labels if gives_labels else None),),
        classes=labels if learner.objective.startswith(_CLASSIFIERS) else None,
        named=named,
    )


def _tell(column: Column, index: int, learner: Learner) -> None:
    kind = learner.kinds[index] if learner.kinds and index < len(learner.kinds) else ""
    if known := (learner.known or {}).get(index):
        column.coded(known)
    elif kind == _CATEGORY and learner.names:
        column.coded(())
    elif kind == _CATEGORY:
        column.type, column.example = "integer", 0
        column.minimum = column.maximum = None
    elif kind == _INDICATOR:
        column.flag()


# Schema: doc/model.schema of XGBoost. Its numbers of parameters are texts: "num_feature": "4".
_WORDS = {"json": "an XGBoost model (JSON)", "ubjson": "an XGBoost model (UBJSON)"}
_MAX_ATTRIBUTE_LENGTH = 10_000_000
_WHOLE = {"b", "B", "h", "i", "q"}
Document = dict[str, Any]


def read(data: bytes) -> NativeModel:
    """Raises:
    Malformed: it is no document of XGBoost, or its trees are not what its code believes.
    """
    try:
        kind, document = _parsed(data)
        return native_model(_learner(kind, document))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        reason = f"an XGBoost model is not as XGBoost writes it ({type(error).__name__})"
        raise Malformed("malformed", reason) from None


def check_saved(data: bytes) -> None:
    """Check what a Booster in a pickle holds: the document of a model, with its configuration.

    Raises:
        Malformed: As for `read`, or the configuration is that of another model.
    """
    try:
        kind, document = _parsed(data)
        model = document.get("Model", document)
        _learner(kind, model)
        if "Config" in document:
            _check_configuration(document["Config"]["learner"], model["learner"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        reason = f"an XGBoost model is not as XGBoost writes it ({type(error).__name__})"
        raise Malformed("malformed", reason) from None


def _check_configuration(told: Document, learner: Document) -> None:
    sizes, counts = told["learner_model_param"], learner["learner_model_param"]
    fits = told["gradient_booster"]["name"] == learner["gradient_booster"]["name"] and all(
        sizes[name] == counts[name] for name in ("num_class", "num_feature")
    )
    require(fits, "the configuration of an XGBoost model is that of another model", CODE)


def _parsed(data: bytes) -> tuple[str, Any]:
    if not data.lstrip()[1:].lstrip().startswith(b'"'):
        return "ubjson", ubjson.loads(data)
    try:
        return "json", json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise Malformed("limit", "the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        code = "truncated" if error.pos >= len(error.doc.rstrip()) else "malformed"
        message = f"the JSON of an XGBoost model is broken ({error.msg})"
        raise Malformed(code, message, offset=error.pos) from None


def _once(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    require(len(found) == len(pairs), "the JSON of an XGBoost model names a value twice")
    return found


def _learner(kind: str, document: Document) -> Learner:
    learner = document["learner"]
    told, booster = learner["learner_model_param"], learner["gradient_booster"]
    found = Learner(
        words=_WORDS[kind],
        width=_count(told["num_feature"]),
        groups=_count(told["num_class"]),
        targets=_count(told.get("num_target", "1")),
        objective=clean(str(learner["objective"]["name"])),
        names=_texts(learner.get("feature_names")),
        kinds=_texts(learner.get("feature_types")),
        version=_version(document.get("version")),
        wrapper=_wrapper(learner.get("attributes") or {}),
    )
    _read_booster(booster, found)
    return found


def _wrapper(attributes: Document) -> str:
    """What the estimators for scikit-learn write of themselves: JSON in an attribute. Releases
    before 1.7 wrote the name of the class as `type`.
    """
    text = attributes.get("scikit_learn", "")
    if not isinstance(text, str) or len(text) > _MAX_ATTRIBUTE_LENGTH:
        return ""
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    kind = told.get("_estimator_type") or told.get("type") if isinstance(told, dict) else ""
    return kind.lower().removeprefix("xgb") if isinstance(kind, str) else ""


def _read_booster(booster: Document, found: Learner) -> None:
    name, groups = booster["name"], max(found.groups, found.targets, 1)
    if name == "gblinear":
        weights = booster["model"]["weights"]
        fits = len(weights) == (found.width + 1) * groups
        require(fits, "a linear model of XGBoost has not a weight for each feature", CODE)
        return
    require(name in {"gbtree", "dart"}, f"XGBoost has no booster {str(name)[:40]!a}")
    model = (booster["gbtree"] if name == "dart" else booster)["model"]
    trees = model["trees"]
    require(isinstance(trees, list), "the trees of an XGBoost model are no list")
    require(_count(model["gbtree_model_param"]["num_trees"]) == len(trees),
            "an XGBoost model has not the trees that it tells of", CODE)  # fmt: skip
    if name == "dart":
        fits = len(booster["weight_drop"]) == len(trees)
        require(fits, "a model of XGBoost has not a weight for each tree", CODE)
    check_groups(_integers(model["tree_info"]), len(trees), groups)
    check_rounds(_integers(model.get("iteration_indptr", ())), len(trees))
    for index, tree in enumerate(trees):
        _read_tree(index, tree, found)
    found.known = xgboost_values(model.get("cats") or {})


def _read_tree(index: int, tree: Document, found: Learner) -> None:
    require(tree.get("id", index) == index, "the trees of XGBoost are out of order", CODE)
    told = tree["tree_param"]
    if _count(told.get("size_leaf_vector", "0")) > 1:
        found.problem = no_prediction_finding(
            "its trees give several outputs each, which is not checked yet"
        )
        return
    fits = _count(told["num_nodes"]) == len(tree["left_children"])
    require(fits, "a tree of XGBoost has not the nodes that it tells of", CODE)
    made = _tree(tree)
    check_tree(made, found.width)
    if not found.splits.is_full:
        kinds = made.kinds or [0] * len(made.left)
        nodes = zip(made.left, made.features, made.thresholds, kinds, strict=True)
        found.splits.add((f, float(at)) for left, f, at, kind in nodes if left >= 0 and kind == 0)


def _tree(tree: Document) -> Tree:
    nodes, starts, sizes = (
        _integers(tree.get(f"categories_{name}", ())) for name in ("nodes", "segments", "sizes")
    )
    return Tree(
        parents=_integers(tree["parents"]),
        left=_integers(tree["left_children"]),
        right=_integers(tree["right_children"]),
        features=_integers(tree["split_indices"]),
        thresholds=_numbers(tree["split_conditions"]),
        kinds=_integers(tree.get("split_type", ())),
        sets=list(zip(nodes, starts, sizes, strict=True)),
        categories=_integers(tree.get("categories", ())),
    )


def _count(text: Any) -> int:
    require(isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 11,
            "a number of an XGBoost model is none")  # fmt: skip
    return int(text)


def _integers(values: Any) -> Sequence[int]:
    plain = getattr(values, "typecode", None) in _WHOLE or set(map(type, values)) <= {int}
    require(plain, "an XGBoost model has other things where whole numbers belong")
    return values  # type: ignore[no-any-return]


def _numbers(values: Any) -> Sequence[float]:
    plain = getattr(values, "typecode", None) or set(map(type, values)) <= {int, float}
    require(bool(plain), "an XGBoost model has other things where numbers belong")
    return values  # type: ignore[no-any-return]


def _texts(values: Any) -> list[str] | None:
    if not values:
        return None
    require(set(map(type, values)) == {str}, "names of features of XGBoost are no texts")
    return [clean(value) for value in values]


def _version(told: Any) -> str | None:
    plain = told and len(told) == 3 and all(0 <= n < 1000 for n in _integers(told))
    return ".".join(map(str, told)) if plain else None


# Of each node, arrays hold its parent, the left and the right child (-1: it is a leaf), the
# feature that it asks for and how (0: by a threshold; 1: by a set of categories). It is walked
# from the root on, node 0.
_LEAF = -1
_NUMBER = 2**31 - 1  # of a parent: in the binary format the bit above tells which child it has
_MAX_CATEGORY = 2**24
"""XGBoost takes no category from this on, and a bit of memory for each below the largest."""


@dataclass(frozen=True)
class Tree:
    """`sets`: for a node that asks for categories, where its own lie in `categories`."""

    parents: Sequence[int]
    left: Sequence[int]
    right: Sequence[int]
    features: Sequence[int]
    thresholds: Sequence[float]
    kinds: Sequence[int] = ()
    sets: Sequence[tuple[int, int, int]] = ()  # node, start, count
    categories: Sequence[int] = field(default=())


def check_tree(tree: Tree, n_features: int) -> None:
    """Raises:
    Malformed: going through it would lead out of it, out of the row, or in a circle.
    """
    count = len(tree.left)
    arrays = (tree.parents, tree.right, tree.features, tree.thresholds, *filter(len, (tree.kinds,)))
    require(
        count > 0 and all(len(each) == count for each in arrays),
        "the arrays of a tree of XGBoost differ in length",
        CODE,
    )
    _check_walk(tree, count, n_features)
    _check_sets(tree, count)


def _check_walk(tree: Tree, count: int, n_features: int) -> None:
    seen = bytearray(count)
    level, depth = [0], 0
    while level:
        message = f"a tree of XGBoost is deeper than {limits.TREE_DEPTH:,} levels"
        require(depth <= limits.TREE_DEPTH, message, "limit")
        below: list[int] = []
        for node in level:
            require(
                0 <= node < count, f"a tree has {count:,} nodes, and one has child {node:,}", CODE
            )
            require(not seen[node], f"node {node:,} of a tree is reached twice", CODE)
            seen[node] = 1
            below += _children(tree, node, count, n_features)
        level, depth = below, depth + 1


def _children(tree: Tree, node: int, count: int, n_features: int) -> tuple[int, ...]:
    children = tree.left[node], tree.right[node]
    if children == (_LEAF, _LEAF):
        return ()
    feature = tree.features[node]
    fits = 0 <= feature < n_features
    require(fits, f"a tree asks for feature {feature:,}, and there are {n_features:,}", CODE)
    told = {tree.parents[child] & _NUMBER for child in children if 0 <= child < count}
    require(told <= {node}, f"a child of node {node:,} of a tree tells of another", CODE)
    return children


def _check_sets(tree: Tree, count: int) -> None:
    known = len(tree.categories)
    told = set()
    for node, start, size in tree.sets:
        told.add(node)
        fits = 0 <= node < count and start >= 0 and size >= 0 and start + size <= known
        require(fits, "the sets of categories of a tree are not where it tells", CODE)
    asking = {
        node for node, kind in enumerate(tree.kinds) if kind != 0 and tree.left[node] != _LEAF
    }
    require(asking <= told, "a node of a tree asks for categories and has none", CODE)
    fits = all(0 <= category < _MAX_CATEGORY for category in tree.categories)
    require(fits, "a tree asks for a category that is out of range", CODE)


def check_groups(groups: Sequence[int], n_trees: int, n_groups: int) -> None:
    """Which output each tree adds to."""
    fits = len(groups) == n_trees and all(0 <= group < n_groups for group in groups)
    require(fits, "the trees of an XGBoost model add to outputs that it does not have", CODE)


def check_rounds(starts: Sequence[int], n_trees: int) -> None:
    """With which tree each round of boosting begins, and the end."""
    rises = all(low <= high for low, high in pairwise(starts))
    fits = not starts or (starts[0] == 0 and rises and starts[-1] == n_trees)
    require(fits, "the rounds of an XGBoost model do not hold its trees", CODE)
