"""Isolation forests."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .arithmetic import row_by_row
from .compiler import Compiler, Compilers, Part, UnplannedError
from .records import is_record
from .traversal import Traversal, tree_of
from .trees import (
    MAX_COPIED,
    all_finite,
    build_tree,
    float32_rows,
    nodes_of,
    traverse,
    width_of,
)


def isolation_forest(model: Any, compiler: Compiler) -> Part:
    if is_record(model) and not compiler.since(0, 21):
        return _part(model, _decision_of_0_20(model, compiler), compiler)
    width, read = width_of(model), _reader(model, compiler)
    trees = [_lengths(tree, used, width, model) for tree, used in _drawn(model, width)]
    add, offset = traverse([[tree] for tree in trees]), model.offset_
    usual = len(trees) * _average_length([model.max_samples_], model)
    if not usual.all():
        raise UnplannedError("the model was fitted on a single row")

    def decide(block: Any) -> np.ndarray:
        rows = read(block)
        lengths = np.zeros((len(rows), 1))
        add(rows, lengths)
        scores = 2 ** (-lengths.ravel() / usual)
        return np.asarray(-scores - offset)

    return _part(model, decide, compiler)


def _part(model: Any, decide: Callable[[Any], np.ndarray], compiler: Compiler) -> Part:
    threshold = _threshold(model, compiler)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(np.where(decide(block) < threshold, -1, 1))

    return {"predict": predict, "decision_function": decide}


def _decision_of_0_20(model: Any, compiler: Compiler) -> Callable[[Any], np.ndarray]:
    """Return the decision function of scikit-learn 0.20, which computes means of all lengths."""
    width = width_of(model)
    drawn = [_lengths(tree, used, width, model, is_old=True) for tree, used in _drawn(model, width)]
    trees = [each.tree_ for each in drawn]
    traversal = Traversal([tree.splits for tree in trees], np.float32)
    table = traversal.at_leaves([tree.value[:, 0, 0] for tree in trees])
    usual, offset = _average_of_0_20(np.array([model.max_samples_])), model.offset_

    def decide(rows: np.ndarray) -> np.ndarray:
        # The order of the lengths in memory decides in which order numpy adds them up.
        lengths = table.take(traversal.leaves(rows)).T
        return np.asarray(-(2 ** (-lengths.mean(axis=1) / usual)) - offset)

    decide_all = row_by_row(decide) if compiler.row_by_row else decide
    return lambda block: decide_all(all_finite(float32_rows(block, width)))


def _reader(model: Any, compiler: Compiler) -> Callable[[Any], np.ndarray]:
    """Return a function that converts a block to the rows that the trees get.

    scikit-learn accepts any number since 1.6. The compiled code here does not.
    """
    width = width_of(model)
    if is_record(model) and compiler.since(1, 6):
        return lambda block: float32_rows(block, width)
    return lambda block: all_finite(float32_rows(block, width))


def _threshold(model: Any, compiler: Compiler) -> float:
    if getattr(model, "behaviour", "new") != "old" or compiler.since(0, 22):
        return 0
    return float(model._threshold_ if is_record(model) else model.threshold_)


def _drawn(model: Any, width: int) -> list[tuple[Any, np.ndarray]]:
    """Return each tree with its features.

    Raises:
        UnplannedError: The model's own trees stay in memory, and are too large for a copy.
    """
    trees = [tree_of(each) for each in model.estimators_]
    if not is_record(model) and sum(nodes_of(tree).nbytes for tree in trees) > MAX_COPIED:
        raise UnplannedError("the model is too large")
    all_features = np.arange(width)
    return [
        (tree, all_features if tree.n_features == width else np.asarray(used))
        for tree, used in zip(trees, model.estimators_features_)
    ]


def _lengths(tree: Any, used: np.ndarray, width: int, model: Any, is_old: bool = False) -> Any:
    """Return a copy of a tree whose values are the lengths of paths.

    A leaf with several rows of the training adds the average length of a tree of so many rows.
    """
    nodes = nodes_of(tree).copy()
    is_inner = nodes["left_child"] >= 0
    nodes["feature"][is_inner] = used[nodes["feature"][is_inner]]
    steps = _steps(nodes)
    if is_old:
        lengths = steps - 1 + _average_of_0_20(tree.n_node_samples)
    else:
        lengths = steps + _average_length(tree.n_node_samples, model) - 1.0
    return build_tree(width, nodes, int(steps.max()) - 1, lengths, is_record(model))


def _steps(nodes: np.ndarray) -> np.ndarray:
    """Return the number of nodes on the path from the root to each node, both included."""
    steps, level, step = np.zeros(len(nodes)), np.zeros(1, np.intp), 1
    while len(level):
        steps[level] = step
        inner = nodes[level[nodes["left_child"][level] >= 0]]
        level, step = np.concatenate([inner["left_child"], inner["right_child"]]), step + 1
    return steps


def _average_length(counts: Any, model: Any) -> np.ndarray:
    """Return the average lengths of paths in trees of so many rows."""
    if is_record(model):
        return _average_path_length(np.asarray(counts))
    try:
        from sklearn.ensemble import _iforest  # noqa: PLC0415 - absent for records
    except ImportError as error:
        raise UnplannedError("this scikit-learn measures paths in an unknown way") from error
    return np.asarray(_iforest._average_path_length(counts))


def _average_path_length(counts: np.ndarray) -> np.ndarray:
    """Compute the average length of an unsuccessful search in a binary tree of so many rows."""
    lengths = np.zeros(counts.shape)
    lengths[counts == 2] = 1.0
    lengths[counts > 2] = _harmonic(counts[counts > 2])
    return lengths


def _average_of_0_20(counts: np.ndarray) -> np.ndarray:
    lengths = np.ones(counts.shape)
    lengths[counts > 1] = _harmonic(counts[counts > 1])
    return lengths


def _harmonic(counts: np.ndarray) -> np.ndarray:
    logarithms = np.log(counts - 1.0) + np.euler_gamma
    return np.asarray(2.0 * logarithms - 2.0 * (counts - 1.0) / counts)


COMPILERS: Compilers = {"IsolationForest": isolation_forest}
