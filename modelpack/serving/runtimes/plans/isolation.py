"""Isolation forests: how few steps it takes to be alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import since
from .compiler import Compiler, Compilers, Part, UnplannedError
from .walks import COPIED, all_finite, build_tree, narrow, traverse, width_of


def isolation_forest(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    width = width_of(model)
    trees = [_lengths(tree.tree_, used, width) for tree, used in _drawn(model, width)]
    add, offset = traverse([[tree] for tree in trees]), model.offset_
    usual = len(trees) * _average_length([model.max_samples_])
    if not usual.all():
        raise UnplannedError("it was fitted on a single row")

    def decide(block: Any) -> np.ndarray:
        rows = all_finite(narrow(block, width))
        lengths = np.zeros((len(rows), 1))
        add(rows, lengths)
        scores = 2 ** (-lengths.ravel() / usual)
        return np.asarray(-scores - offset)

    is_old = getattr(model, "behaviour", "new") == "old" and not since(0, 22)
    threshold = model.threshold_ if is_old else 0

    def predict(block: Any) -> np.ndarray:
        return np.asarray(np.where(decide(block) < threshold, -1, 1))

    return {"predict": predict, "decision_function": decide}


def _drawn(model: Any, width: int) -> list[tuple[Any, np.ndarray]]:
    """Each tree, and the features that it looks at in its own order.

    Raises:
        UnplannedError: the trees are too large to be copied.
    """
    if sum(tree.tree_.__getstate__()["nodes"].nbytes for tree in model.estimators_) > COPIED:
        raise UnplannedError("it is too large")
    everything = np.arange(width)
    return [
        (tree, everything if tree.tree_.n_features == width else np.asarray(used))
        for tree, used in zip(model.estimators_, model.estimators_features_)
    ]


def _lengths(tree: Any, used: np.ndarray, width: int) -> Any:
    """The same tree, as `walks.planted`, whose values are lengths of paths: the nodes on it, and
    the usual length from its leaf on where several rows of the training share that.
    """
    state = tree.__getstate__()
    nodes, is_inner = state["nodes"].copy(), state["nodes"]["left_child"] >= 0
    nodes["feature"][is_inner] = used[nodes["feature"][is_inner]]
    lengths = _steps(nodes) + _average_length(tree.n_node_samples) - 1.0
    return build_tree(width, nodes, state["max_depth"], lengths)


def _steps(nodes: np.ndarray) -> np.ndarray:
    """Of each node: how many there are from the root to it, with both."""
    steps, level, step = np.zeros(len(nodes)), np.zeros(1, np.intp), 1
    while len(level):
        steps[level] = step
        inner = nodes[level[nodes["left_child"][level] >= 0]]
        level, step = np.concatenate([inner["left_child"], inner["right_child"]]), step + 1
    return steps


def _average_length(counts: Any) -> np.ndarray:
    """Of paths in trees of so many rows, as this release of scikit-learn has it."""
    try:
        from sklearn.ensemble._iforest import _average_path_length  # noqa: PLC0415
    except ImportError as error:
        raise UnplannedError("scikit-learn measures paths in another way") from error
    return np.asarray(_average_path_length(counts))


COMPILERS: Compilers = {"IsolationForest": isolation_forest}
