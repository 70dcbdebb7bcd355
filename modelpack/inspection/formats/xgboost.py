"""XGBoost JSON and UBJSON, and the checks of trees for all XGBoost formats.

Schema: doc/model.schema of XGBoost. Its numeric parameters are strings: "num_feature": "4".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from modelpack.types import Field, Finding, Signature, Task

from .. import limits
from ..encodings import ubjson
from ..facts.boosters import SplitValues
from ..facts.categories import xgboost_values
from ..facts.columns import Column
from ..invariants import CODE
from ..nodes import Malformed, require
from ..text import clean
from .model import NativeModel, columns, no_prediction_finding, outputs

_RANKERS = "rank:"
_LABELS = "multi:softmax"
_WITH_PROBABILITIES = {"binary:logistic", "multi:softprob"}
_CLASSIFIER = "xgboost.sklearn.XGBClassifier"
_CLASSIFIERS = ("binary:", "multi:")
_INDICATOR, _CATEGORY = "i", "c"
_CUT_TOKEN = re.compile(r"[\w\\.+-]{0,32}\s*")
"""A number, word or escape that the end of the text may have cut."""


@dataclass
class Learner:
    """A model as all XGBoost formats record it.

    Attributes:
        description: Completes "the file is ...".
        width: Number of features.
        groups: Number of classes; 0 if the model is not a classifier.
        targets: Number of outputs of a regressor.
        kinds: Kind of each feature: q, float, int, i (indicator), c (categorical).
        known: Index of a feature of kind c -> its values in the DataFrame.
        wrapper: What saved it: "classifier", "regressor", "ranker", or "" for a Booster.
        best_round: Index of the best boosting round, if early stopping recorded one.
        best_trees: Number of trees for each output up to this round, as releases until 1.7 write.
        booster: "gbtree", "dart" or "gblinear".
        base_scores: What the sums start with, before the link of the objective; one number, or one
            for each output.
        base_is_margin: The base score is behind the link already.
        tree_outputs: Index of the output that each tree adds to.
        tree_weights: Factor of each tree of DART.
        weights: The weights of a linear model, one for each feature and output, then the biases.
        round_starts: Index of the first tree of each boosting round, and the end; may be empty.
        parallel_trees: Number of trees for each output in a round.
        trees: The trees, if they are to be kept.
    """

    description: str
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
    best_round: int | None = None
    best_trees: int | None = None
    splits: SplitValues = field(default_factory=SplitValues)
    booster: str = "gbtree"
    base_scores: Sequence[float] = ()
    base_is_margin: bool = False
    tree_outputs: Sequence[int] = ()
    tree_weights: Sequence[float] = ()
    weights: Sequence[float] = ()
    round_starts: Sequence[int] = ()
    parallel_trees: int = 1
    trees: list[Tree] | None = None

    @property
    def predicts_labels(self) -> bool:
        """True if XGBClassifier saved it: its `predict` returns labels, not probabilities."""
        has_probabilities = self.objective in _WITH_PROBABILITIES and self.targets <= 1
        return has_probabilities and self.wrapper == "classifier"


def native_model(learner: Learner) -> NativeModel:
    """Return the model of any XGBoost format."""
    return NativeModel(
        estimator=_CLASSIFIER if learner.predicts_labels else "xgboost.core.Booster",
        framework="xgboost",
        description=learner.description,
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
    described, named = columns(learner.width, learner.names)
    learner.splits.describe(described)
    for index, column in enumerate(described):
        column.nullable = True
        _describe(column, index, learner)
    count = outputs(max(learner.groups, learner.targets, 1), "an XGBoost model")
    labels = tuple(range(learner.groups)) if learner.groups > 1 else None
    returns_labels = learner.objective == _LABELS
    shape = (count,) if count > 1 and not returns_labels else ()
    inputs = tuple(column.field("number") for column in described)
    if learner.predicts_labels:
        labels = labels or (0, 1)
        output = Field("prediction", "integer", (), labels)
        return Signature(inputs, (output,), labels, named=named, probabilities=True)
    return Signature(
        inputs=inputs,
        outputs=(Field("prediction", "number", shape, labels if returns_labels else None),),
        classes=labels if learner.objective.startswith(_CLASSIFIERS) else None,
        named=named,
    )


def _describe(column: Column, index: int, learner: Learner) -> None:
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


_DESCRIPTIONS = {"json": "an XGBoost model (JSON)", "ubjson": "an XGBoost model (UBJSON)"}
_MAX_ATTRIBUTE_LENGTH = 10_000_000
_INTEGER_TYPECODES = {"b", "B", "h", "i", "q"}
_SMALL_NUMBER = re.compile(r"[0-9]{1,9}")
Document = dict[str, Any]


def read(data: bytes) -> NativeModel:
    """Read a JSON or UBJSON file.

    Raises:
        Malformed: XGBoost does not write such a document, or would read outside its arrays.
    """
    with _document_errors():
        return native_model(_learner(*_parse(data)))


def check_saved(data: bytes) -> None:
    """Check the document of a Booster in a pickle: a model, perhaps with its configuration.

    Raises:
        Malformed: As for `read`, or the configuration is that of another model.
    """
    with _document_errors():
        kind, document = _parse(data)
        model = document.get("Model", document)
        _learner(kind, model)
        if "Config" in document:
            _check_configuration(document["Config"]["learner"], model["learner"])


def read_learner(data: bytes) -> Learner:
    """Read a file, or the document of a Booster in a pickle, and keep its trees.

    Raises:
        Malformed: As for `read`.
    """
    with _document_errors():
        kind, document = _parse(data)
        return _learner(kind, document.get("Model", document), trees=[])


@contextmanager
def _document_errors() -> Iterator[None]:
    """Report values that are missing or of a wrong type as `Malformed`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        reason = f"XGBoost does not write such a model ({type(error).__name__})"
        raise Malformed("malformed", reason) from None


def _check_configuration(config: Document, learner: Document) -> None:
    sizes, counts = config["learner_model_param"], learner["learner_model_param"]
    fits = config["gradient_booster"]["name"] == learner["gradient_booster"]["name"] and all(
        sizes[name] == counts[name] for name in ("num_class", "num_feature")
    )
    require(fits, "the configuration in an XGBoost model is that of another model", CODE)


def _parse(data: bytes) -> tuple[str, Any]:
    if not data.lstrip()[1:].lstrip().startswith(b'"'):
        return "ubjson", ubjson.loads(data)
    try:
        return "json", json.loads(data, object_pairs_hook=_unique)
    except RecursionError:
        raise Malformed("limit", "the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        if error.msg.startswith("Unterminated") or _CUT_TOKEN.fullmatch(error.doc, error.pos):
            message = "the JSON of the XGBoost model ends too early"
            raise Malformed("truncated", message, offset=error.pos) from None
        message = f"the JSON of the XGBoost model is invalid ({error.msg})"
        raise Malformed("malformed", message, offset=error.pos) from None


def _unique(pairs: list[tuple[str, Any]]) -> Document:
    members = dict(pairs)
    require(len(members) == len(pairs), "the JSON of the XGBoost model has a key twice")
    return members


def _learner(kind: str, document: Document, trees: list[Tree] | None = None) -> Learner:
    members = document["learner"]
    parameters, attributes = members["learner_model_param"], members.get("attributes") or {}
    learner = Learner(
        description=_DESCRIPTIONS[kind],
        width=_count(parameters["num_feature"]),
        groups=_count(parameters["num_class"]),
        targets=_count(parameters.get("num_target", "1")),
        objective=clean(str(members["objective"]["name"])),
        names=_strings(members.get("feature_names")),
        kinds=_strings(members.get("feature_types")),
        version=_version(document.get("version")),
        wrapper=_wrapper(attributes),
        base_scores=_base_scores(parameters["base_score"]),
        trees=trees,
    )
    read_best(attributes, learner)
    _read_booster(members["gradient_booster"], learner)
    return learner


def _wrapper(attributes: Document) -> str:
    """Return `Learner.wrapper` from the JSON in the attribute that the wrapper writes.

    Releases before 1.7 wrote the name of the class as `type`.
    """
    text = attributes.get("scikit_learn", "")
    if not isinstance(text, str) or len(text) > _MAX_ATTRIBUTE_LENGTH:
        return ""
    try:
        members = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    if not isinstance(members, dict):
        return ""
    kind = members.get("_estimator_type") or members.get("type")
    return kind.lower().removeprefix("xgb") if isinstance(kind, str) else ""


def _read_booster(booster: Document, learner: Learner) -> None:
    name = learner.booster = require_booster(booster["name"])
    if name == "gblinear":
        learner.weights = _numbers(booster["model"]["weights"])
        check_weights(len(learner.weights), learner)
        return
    model = (booster["gbtree"] if name == "dart" else booster)["model"]
    trees = model["trees"]
    require(isinstance(trees, list), "the trees of the XGBoost model are not a list")
    fits = _count(model["gbtree_model_param"]["num_trees"]) == len(trees)
    require(fits, "the XGBoost model has a wrong number of trees", CODE)
    if name == "dart":
        learner.tree_weights = _numbers(booster["weight_drop"])
        check_tree_weights(len(learner.tree_weights), len(trees))
    learner.tree_outputs = _integers(model["tree_info"])
    check_groups(learner.tree_outputs, len(trees), learner)
    learner.round_starts = _integers(model.get("iteration_indptr", ()))
    check_rounds(learner.round_starts, len(trees))
    learner.parallel_trees = _count(model["gbtree_model_param"].get("num_parallel_tree", "1"))
    for index, tree in enumerate(trees):
        _read_tree(index, tree, learner)
    learner.known = xgboost_values(model.get("cats") or {})


def _read_tree(index: int, members: Document, learner: Learner) -> None:
    require(members.get("id", index) == index, "the trees of XGBoost are out of order", CODE)
    parameters = members["tree_param"]
    if _count(parameters.get("size_leaf_vector", "0")) > 1:
        reason = "its trees have several outputs each, which modelpack does not check yet"
        learner.problem = no_prediction_finding(reason)
        return
    fits = _count(parameters["num_nodes"]) == len(members["left_children"])
    require(fits, "a tree of XGBoost has a wrong number of nodes", CODE)
    add_tree(_tree(members), learner)


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
        missing_left=tree.get("default_left", ()),
    )


def _base_scores(text: Any) -> list[float]:
    """Return the numbers of "5E-1" or, since XGBoost 3.1, of "[5E-1,2E-1]"."""
    return [float(part) for part in str(text).strip("[]").split(",")]


def read_best(attributes: Document, learner: Learner) -> None:
    """Set the numbers in the attributes that early stopping writes."""
    learner.best_round, learner.best_trees = (
        int(text) if isinstance(text, str) and _SMALL_NUMBER.fullmatch(text) else None
        for text in map(attributes.get, ("best_iteration", "best_ntree_limit"))
    )


def _count(text: Any) -> int:
    fits = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 11
    require(fits, "a numeric parameter of the XGBoost model is not a number")
    return int(text)


def _integers(values: Any) -> Sequence[int]:
    typecode = getattr(values, "typecode", None)
    fits = typecode in _INTEGER_TYPECODES or set(map(type, values)) <= {int}
    require(fits, "an array of integers in the XGBoost model contains other values")
    return values  # type: ignore[no-any-return]


def _numbers(values: Any) -> Sequence[float]:
    fits = getattr(values, "typecode", None) or set(map(type, values)) <= {int, float}
    require(bool(fits), "an array of numbers in the XGBoost model contains other values")
    return values  # type: ignore[no-any-return]


def _strings(values: Any) -> list[str] | None:
    if not values:
        return None
    require(set(map(type, values)) == {str}, "a feature name of the XGBoost model is not a string")
    return [clean(value) for value in values]


def _version(numbers: Any) -> str | None:
    fits = numbers and len(numbers) == 3 and all(0 <= n < 1000 for n in _integers(numbers))
    return ".".join(map(str, numbers)) if fits else None


_LEAF = -1
_PARENT_INDEX = 2**31 - 1  # the higher bit marks left children in the binary format
_MAX_CATEGORY = 2**24
"""XGBoost supports smaller categories only, and allocates a bit for each below the largest."""


@dataclass(frozen=True)
class Tree:
    """Arrays with one value per node. Node 0 is the root.

    Attributes:
        left: Index of a child, -1 in a leaf. So is `right`.
        kinds: 0: the node compares with a threshold; 1: it looks up a set of categories.
        sets: Node, and start and size of its set in `categories`.
        missing_left: Whether a missing value goes to the left child.
    """

    parents: Sequence[int]
    left: Sequence[int]
    right: Sequence[int]
    features: Sequence[int]
    thresholds: Sequence[float]
    kinds: Sequence[int] = ()
    sets: Sequence[tuple[int, int, int]] = ()
    categories: Sequence[int] = ()
    missing_left: Sequence[int] = ()


def add_tree(tree: Tree, learner: Learner) -> None:
    """Check a tree, record its thresholds, and keep it if trees are kept.

    Raises:
        Malformed: The tree has a cycle, or an index outside the tree or the row.
    """
    check_tree(tree, learner.width)
    if learner.trees is not None:
        learner.trees.append(tree)
    if not learner.splits.is_full:
        kinds = tree.kinds or [0] * len(tree.left)
        nodes = zip(tree.left, tree.features, tree.thresholds, kinds, strict=True)
        learner.splits.add((f, float(at)) for left, f, at, kind in nodes if left >= 0 and kind == 0)


def check_tree(tree: Tree, n_features: int) -> None:
    """Check the indices of a tree.

    Raises:
        Malformed: The tree has a cycle, or an index outside the tree or the row.
    """
    count = len(tree.left)
    arrays = (tree.parents, tree.right, tree.features, tree.thresholds, *filter(len, (tree.kinds,)))
    fits = count > 0 and all(len(each) == count for each in arrays)
    require(fits, "the arrays of a tree of XGBoost differ in length", CODE)
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
            message = f"a node has child {node:,}, but its tree has {count:,} nodes"
            require(0 <= node < count, message, CODE)
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
    require(fits, f"a tree uses feature {feature:,}, but the model has {n_features:,}", CODE)
    parents = {tree.parents[child] & _PARENT_INDEX for child in children if 0 <= child < count}
    require(parents <= {node}, f"a child of node {node:,} of a tree has another parent", CODE)
    return children


def _check_sets(tree: Tree, count: int) -> None:
    known = len(tree.categories)
    with_set = set()
    for node, start, size in tree.sets:
        with_set.add(node)
        fits = 0 <= node < count and start >= 0 and size >= 0 and start + size <= known
        require(fits, "a set of categories is outside the categories of its tree", CODE)
    categorical = {
        node for node, kind in enumerate(tree.kinds) if kind != 0 and tree.left[node] != _LEAF
    }
    require(categorical <= with_set, "a categorical node of a tree has no categories", CODE)
    fits = all(0 <= category < _MAX_CATEGORY for category in tree.categories)
    require(fits, "a category of a tree is out of range", CODE)


def require_booster(name: Any) -> str:
    """Return the name of the booster if XGBoost has one of this name."""
    require(name in ("gbtree", "dart", "gblinear"), f"XGBoost has no booster {str(name)[:40]!a}")
    return str(name)


def check_weights(count: int, learner: Learner) -> None:
    """Check the number of weights of a linear model."""
    fits = count == (learner.width + 1) * max(learner.groups, learner.targets, 1)
    require(fits, "the number of weights of the XGBoost model does not fit its features", CODE)


def check_tree_weights(count: int, n_trees: int) -> None:
    """Check the number of weights of a DART model."""
    require(count == n_trees, "the XGBoost model does not have one weight per tree", CODE)


def check_groups(groups: Sequence[int], n_trees: int, learner: Learner) -> None:
    """Check the output that each tree adds to."""
    n_groups = max(learner.groups, learner.targets, 1)
    fits = len(groups) == n_trees and all(0 <= group < n_groups for group in groups)
    require(fits, "a tree of the XGBoost model adds to an output that does not exist", CODE)


def check_rounds(starts: Sequence[int], n_trees: int) -> None:
    """Check the index of the first tree of each boosting round, followed by the end."""
    rises = all(low <= high for low, high in pairwise(starts))
    fits = not starts or (starts[0] == 0 and rises and starts[-1] == n_trees)
    require(fits, "the boosting rounds of the XGBoost model do not fit its trees", CODE)
