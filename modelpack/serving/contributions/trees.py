"""Decision trees: the change of the mean prediction at each split on the path of a row.

A node stands for the rows of the training that reach it. From a node to its child, the mean of
their predictions changes, and the input that the node compares gets the difference. See A. Saabas,
"Interpreting random forests" (2014).
"""

from __future__ import annotations

import math
import time
from typing import Any, Iterator, NamedTuple, Sequence

import numpy as np

from ..data.columns import Rows
from ..service import Service
from .origins import Column
from .scope import Scope
from .steps import Steps, UnavailableError, dense
from .sums import Sums, by_input

LEAF = -1
MAX_NODES = 2_000_000
"""Nodes of all trees whose means are computed."""
MAX_SECONDS = 1.0
"""Time for the paths of one row."""

FORESTS = {
    f"{name}{kind}"
    for name in ("RandomForest", "ExtraTrees")
    for kind in ("Classifier", "Regressor")
}
SINGLE = {
    f"{name}{kind}"
    for name in ("DecisionTree", "ExtraTree")
    for kind in ("Classifier", "Regressor")
}
BOOSTED = {"GradientBoostingClassifier", "GradientBoostingRegressor"}
HISTOGRAMS = {f"Hist{name}" for name in BOOSTED}
ADABOOST = "AdaBoostClassifier"
CLASSES = FORESTS | SINGLE | BOOSTED | HISTOGRAMS | {ADABOOST}
PAIR = 2


class Nodes(NamedTuple):
    """The nodes of a tree; the first one is the root.

    Attributes:
        left: The left child of each node, LEAF for a leaf.
        right: The right child.
        feature: The column that each node compares.
        threshold: The largest value that goes to the left child.
        is_missing_left: Whether a missing value goes to the left child; None for never.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    is_missing_left: np.ndarray | None

    def path(self, row: Sequence[float]) -> Iterator[int]:
        """Yield the nodes from the root to the leaf of a row."""
        node = 0
        yield node
        while self.left[node] != LEAF:
            value = row[self.feature[node]]
            is_left = value <= self.threshold[node]
            if math.isnan(value):
                is_left = self.is_missing_left is not None and self.is_missing_left[node]
            node = int(self.left[node] if is_left else self.right[node])
            yield node


class Tree(NamedTuple):
    """A tree.

    Attributes:
        nodes: Its nodes.
        values: The mean prediction of each node, (n_nodes, n_outputs).
        output: The number of the first output.
    """

    nodes: Nodes
    values: np.ndarray
    output: int = 0


class PathModel:
    """The contributions of a model of trees."""

    method = "tree_paths"
    references = None
    is_short = False

    def __init__(self, steps: Steps, columns: Sequence[Column], scope: Scope) -> None:
        """Read the trees.

        Raises:
            UnavailableError: They are too large, or of an unknown kind.
        """
        service = scope.service
        self._steps = steps
        self._sources = [column.source for column in columns]
        self._width = len(service.manifest.inputs)
        predictor, name = steps.predictor, type(steps.predictor).__name__
        self._categories: Any = None
        self._trees: Sequence[Tree]
        self.is_probability = name.endswith("Classifier") and name in FORESTS | SINGLE
        if name in HISTOGRAMS:
            self._trees = self._histograms(predictor, service)
        elif name == ADABOOST:
            self._trees = _voted(predictor, self._compiler(service))
        elif name in BOOSTED:
            self._trees = _boosted(predictor)
        else:
            self._trees = _averaged(predictor, name)
        self._outputs = max(tree.output + tree.values.shape[1] for tree in self._trees)
        self._start = self._initial(predictor, name, service)

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each output for one row.

        Raises:
            UnavailableError: It takes too long.
        """
        base, parts = self._from_trees(rows)
        return Sums(self._start + base, by_input(parts, self._sources, self._width))

    def _from_trees(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        row = self._read(rows)
        until = time.monotonic() + MAX_SECONDS
        base = np.zeros(self._outputs)
        parts = np.zeros((self._outputs, len(self._sources)))
        for tree in self._trees:
            if time.monotonic() > until:
                raise UnavailableError(f"The trees take more than {MAX_SECONDS:g} s.")
            path = list(tree.nodes.path(row))
            outputs = slice(tree.output, tree.output + tree.values.shape[1])
            values = tree.values[path]
            base[outputs] += values[0]
            features = [self._feature(tree.nodes.feature[node]) for node in path[:-1]]
            np.add.at(parts[outputs].T, features, np.diff(values, axis=0))
        return base, parts

    def _read(self, rows: Rows) -> list[float]:
        """Return the row that the trees compare."""
        if self._categories is None:
            values = dense(self._steps.transformed(rows))
            with np.errstate(over="ignore"):
                row = values[0].astype(np.float32)
        else:
            is_first = not self._steps.transformers
            block = rows if is_first else dense(self._steps.transformed(rows))
            row = self._categories.rows(block)[0]
        numbers: list[float] = row.tolist()
        return numbers

    def _feature(self, column: int) -> int:
        return int(column if self._categories is None else self._categories.feature_of(column))

    def _compiler(self, service: Service) -> Any:
        """Return the compiler of the release of scikit-learn that the model belongs to."""
        from ..runtimes.plans import COMPILERS  # noqa: PLC0415 - many modules
        from ..runtimes.plans.compiler import Compiler, Context  # noqa: PLC0415
        from ..runtimes.plans.runtime import installed_release  # noqa: PLC0415

        if self._steps.compiler is not None:
            return self._steps.compiler
        layout, names = service.manifest.layout, [f.name for f in service.manifest.inputs]
        return Compiler(COMPILERS, Context(layout, names, installed_release()), np.matmul)

    def _histograms(self, predictor: Any, service: Service) -> list[Tree]:
        from ..runtimes.plans.categories import Categories  # noqa: PLC0415 - many modules

        compiler = self._compiler(service)
        own = [tree for several in predictor._predictors for tree in several]
        _require_size(sum(len(tree.nodes) for tree in own))
        self._categories = Categories(predictor, own, len(self._sources), compiler)
        outputs = len(predictor._predictors[0])
        trees: list[Tree] = []
        for splits, tree in zip(self._categories.splits, own):
            means = _means(splits, tree.nodes["value"][:, np.newaxis], tree.nodes["count"])
            trees.append(Tree(Nodes(*splits), means, len(trees) % outputs))
        return trees

    def _initial(self, predictor: Any, name: str, service: Service) -> np.ndarray:
        """Return what the outputs of the trees are added to."""
        if name in HISTOGRAMS:
            return np.ravel(np.asarray(predictor._baseline_prediction, np.float64))
        if name not in BOOSTED:
            return np.zeros(self._outputs)
        # How the first predictions are stored differs between releases, so the example gives them.
        rows = service.decode_rows([service.manifest.example])
        method = "decision_function" if name.endswith("Classifier") else "predict"
        raw = np.ravel(self._steps.call(method, rows))
        base, parts = self._from_trees(rows)
        return np.asarray(raw - base - parts.sum(axis=1))


def _averaged(predictor: Any, name: str) -> list[Tree]:
    estimators = predictor.estimators_ if name in FORESTS else [predictor]
    is_classifier = name.endswith("Classifier")
    if predictor.n_outputs_ != 1 and is_classifier:
        raise UnavailableError("The model predicts several labels.")
    return [_averaged_tree(each, is_classifier, len(estimators)) for each in estimators]


def _averaged_tree(estimator: Any, is_classifier: bool, count: int) -> Tree:
    nodes, values = _read_tree(estimator.tree_)
    if is_classifier:
        return Tree(nodes, _shares(values[:, 0]) / count)
    return Tree(nodes, values[:, :, 0] / count)


def _shares(values: np.ndarray) -> np.ndarray:
    """Return probabilities. Before scikit-learn 1.3 they are weights of rows."""
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def _boosted(predictor: Any) -> list[Tree]:
    estimators = np.asarray(predictor.estimators_, object)
    _require_size(sum(len(_field(each.tree_, "feature")) for each in estimators.ravel()))
    trees: list[Tree] = []
    for each in estimators.ravel():
        nodes, values = _read_tree(each.tree_)
        weights = _field(each.tree_, "weighted_n_node_samples")
        means = _means(nodes, values[:, 0] * float(predictor.learning_rate), weights)
        trees.append(Tree(nodes, means, len(trees) % estimators.shape[1]))
    return trees


def _voted(predictor: Any, compiler: Any) -> list[Tree]:
    """Return the trees of AdaBoost with the votes of their leaves in place of values."""
    count = len(predictor.classes_)
    weights = np.asarray(predictor.estimator_weights_, np.float64)
    is_real = getattr(predictor, "algorithm", "SAMME") == "SAMME.R"
    others = -1 / (count - 1) if compiler.since(1, 3) else 0.0
    if any(type(each).__name__ not in SINGLE for each in predictor.estimators_):
        raise UnavailableError("The estimators of AdaBoost are not trees.")
    _require_size(sum(len(_field(each.tree_, "feature")) for each in predictor.estimators_))
    trees: list[Tree] = []
    for each, weight in zip(predictor.estimators_, weights):
        nodes, values = _read_tree(each.tree_)
        chances = _shares(values[:, 0])
        if chances.shape[1] != count:
            raise UnavailableError("A tree of AdaBoost has fewer classes.")
        if is_real:
            logs = np.log(np.clip(chances, np.finfo(np.float64).eps, None))
            votes = (count - 1) * (logs - logs.mean(axis=1, keepdims=True))
        else:
            is_chosen = np.arange(count) == chances.argmax(axis=1)[:, np.newaxis]
            votes = np.where(is_chosen, weight, others * weight)
        if count == PAIR:
            votes = votes[:, 1:] - votes[:, :1]
        rows = _field(each.tree_, "n_node_samples")
        trees.append(Tree(nodes, _means(nodes, votes / weights.sum(), rows)))
    return trees


def _read_tree(tree: Any) -> tuple[Nodes, np.ndarray]:
    """Return the nodes of a tree of scikit-learn or of a record, and their values.

    The values are (n_nodes, n_outputs, n_classes), those of regressors have one class.
    """
    names = ("children_left", "children_right", "feature", "threshold", "missing_go_to_left")
    values = tree.value if hasattr(tree, "value") else tree.values
    return Nodes(*(_field(tree, name) for name in names)), np.asarray(values)


_FIELDS = {"children_left": "left_child", "children_right": "right_child"}


def _field(tree: Any, name: str) -> Any:
    """Return an array with a value for each node, None for one that this release does not have."""
    if hasattr(tree, "children_left"):
        return getattr(tree, name, None)
    nodes, field = tree.nodes, _FIELDS.get(name, name)
    return nodes[field] if field in nodes.dtype.names else None


def _means(nodes: Any, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean values of the leaves below each node, weighted by rows of the training.

    Inner nodes have other values: those before the step of boosting was computed.
    """
    left, right = nodes.left.tolist(), nodes.right.tolist()
    shares = weights.tolist()
    means = [_column_of_means(left, right, column.tolist(), shares) for column in values.T]
    return np.ascontiguousarray(np.array(means, np.float64).T)


def _column_of_means(
    left: list[int], right: list[int], totals: list[float], shares: list[float]
) -> list[float]:
    for node in range(len(left) - 1, -1, -1):  # children follow their parents
        if left[node] != LEAF:
            one, other = left[node], right[node]
            share = (shares[one] + shares[other]) or 1
            totals[node] = (totals[one] * shares[one] + totals[other] * shares[other]) / share
    return totals


def _require_size(nodes: int) -> None:
    if nodes > MAX_NODES:
        raise UnavailableError(f"The trees have more than {MAX_NODES:,} nodes.")
