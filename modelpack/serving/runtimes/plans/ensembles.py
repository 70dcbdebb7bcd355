"""Forests and gradient boosting."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from . import adaboost, isolation
from .compiler import Compiler, Compilers, Part, UnplannedError, after, copy_with, identity
from .losses import boosting_part, initial_sums
from .records import is_record
from .traversal import MAX_PAIRS, Traversal, splits_of, tree_of
from .trees import (
    MAX_COPIED,
    accepts_nan,
    all_finite,
    build_tree,
    by_count,
    by_stages,
    class_probabilities,
    float32_rows,
    has_one_output,
    nodes_of,
    require_one_output,
    traverse,
)

BLOCK = 1 << 15
"""Size up to which probabilities are added in one call. A loop over the trees is as fast for larger
blocks, and needs less memory."""

Sums = Callable[[np.ndarray], np.ndarray]
"""Function from float32 rows to the sums of the trees in their order, (n_rows, n_columns)."""


def forest_classifier(model: Any, compiler: Compiler) -> Part:
    require_one_output(model)
    trees = [tree_of(each) for each in model.estimators_]
    tables = [
        class_probabilities(each, tree, compiler) for each, tree in zip(model.estimators_, trees)
    ]
    if is_record(model):
        votes = _votes_of_record(trees, tables)
        mean = _mean(model, votes, votes, compiler)
    else:
        mean = _mean(model, _votes(trees, tables), _one_by_one(model, tables), compiler)
    classes = model.classes_

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(mean(block), axis=1), axis=0))

    return {"predict": predict, "predict_proba": mean}


def forest_regressor(model: Any, compiler: Compiler) -> Part:
    if not has_one_output(model):
        return _several_outputs(model, compiler)
    add = traverse([[tree] for tree in model.estimators_])

    def traversed(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(rows), 1))
        add(rows, sums)
        return sums

    one_by_one: Sums = traversed
    if not is_record(model):
        one_by_one = partial(_added, [tree.tree_.predict for tree in model.estimators_], 1)
    mean = _mean(model, traversed, one_by_one, compiler)

    def predict(block: Any) -> np.ndarray:
        return mean(block).ravel()

    return {"predict": predict}


def _several_outputs(model: Any, compiler: Compiler) -> Part:
    trees = [tree_of(each) for each in model.estimators_]
    sums = _votes_of_record(trees, [tree.value[:, :, 0] for tree in trees])
    return {"predict": _mean(model, sums, sums, compiler)}


def _mean(
    model: Any, traversed: Sums | None, one_by_one: Sums, compiler: Compiler
) -> Callable[[Any], np.ndarray]:
    """Return a function that computes the mean of the trees.

    It calls `one_by_one` for rows with missing values, which compiled code does not support, or if
    `traversed` is None.
    """
    width, count = model.estimators_[0].tree_.n_features, len(model.estimators_)
    is_nan_taken = accepts_nan(model, compiler)

    def mean(block: Any) -> np.ndarray:
        rows = float32_rows(block, width)
        is_finite = np.isfinite(rows).all()
        if not is_finite and (not is_nan_taken or np.isinf(rows).any()):
            raise FallbackRequiredError
        sums = traversed(rows) if traversed is not None and is_finite else one_by_one(rows)
        sums /= count
        return sums

    return mean


def _one_by_one(model: Any, tables: list[np.ndarray]) -> Sums:
    """Return a function that calls each tree, which needs no memory."""
    functions = [
        tree.tree_.predict
        if np.may_share_memory(table, tree.tree_.value)
        else partial(tree.predict_proba, check_input=False)
        for tree, table in zip(model.estimators_, tables)
    ]
    return partial(_added, functions, model.n_classes_)


def _added(
    functions: list[Callable[[np.ndarray], np.ndarray]], width: int, rows: np.ndarray
) -> np.ndarray:
    sums = np.zeros((len(rows), width))
    for function in functions:
        sums += function(rows)
    return sums


def _votes_of_record(trees: list[Any], tables: list[np.ndarray]) -> Sums:
    """Return a function that traverses all trees in one call, by numpy."""
    traversal = Traversal([tree.splits for tree in trees], np.float32)
    return _sums(traversal, tables, traversal.leaves)


def _votes(trees: list[Any], tables: list[np.ndarray]) -> Sums | None:
    """Return a function that traverses all trees in one call; None if they are too large to copy.

    `tables` are the probabilities of each tree.
    """
    nodes = [nodes_of(tree) for tree in trees]
    if sum(each.nbytes + table.nbytes for each, table in zip(nodes, tables)) > MAX_COPIED:
        return None
    traversal = Traversal([splits_of(tree) for tree in trees], np.float32)
    compiled = _compiled_leaves(trees, nodes, traversal)
    return _sums(traversal, tables, by_count(compiled, traversal.leaves, traversal))


def _compiled_leaves(
    trees: list[Any], nodes: list[np.ndarray], traversal: Traversal
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function like `traversal.leaves` that calls scikit-learn.

    It traverses copies of the trees whose values are the numbers of their leaves.
    """
    numbers = np.zeros(sum(map(len, nodes)))
    numbers[traversal.leaf_nodes] = np.arange(len(traversal.leaf_nodes))
    values = np.split(numbers, np.cumsum([len(each) for each in nodes])[:-1])
    copies = [
        build_tree(tree.n_features, own, tree.max_depth, value)
        for tree, own, value in zip(trees, nodes, values)
    ]
    add = by_stages(np.array([copies], object))

    def leaves(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), len(copies)))
        add(rows, found)
        return np.asarray(found.T.astype(np.intp, order="C"))

    return leaves


def _sums(
    traversal: Traversal,
    tables: list[np.ndarray],
    leaves: Callable[[np.ndarray], np.ndarray],
) -> Sums:
    """Return a function that adds up the rows of `tables` at the `leaves` of each tree."""
    table = traversal.at_leaves(tables)
    step = max(1, MAX_PAIRS // len(tables))

    def add_up(rows: np.ndarray) -> np.ndarray:
        parts = [rows[first : first + step] for first in range(0, len(rows), step)]
        return np.concatenate([_row_sums(table, leaves(part)) for part in parts])

    return add_up


def _row_sums(table: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Add up the rows of `table` with `indices` (n, n_rows) over n, in order."""
    if indices.size * table.shape[1] <= BLOCK:
        return np.asarray(np.add.reduce(table.take(indices, axis=0), axis=0))
    sums = np.zeros((indices.shape[1], table.shape[1]))
    for chosen in indices:
        sums += table.take(chosen, axis=0)
    return sums


def boosting_classifier(model: Any, compiler: Compiler) -> Part:
    raw = raw_sums(model, compiler)

    def decide(block: Any) -> np.ndarray:
        sums = raw(block)
        return sums.ravel() if sums.shape[1] == 1 else sums

    if is_record(model):
        return boosting_part(model, decide, compiler)
    decided = copy_with(model, decision_function=identity)
    return {
        "predict": after(decide, decided.predict),
        "predict_proba": after(decide, decided.predict_proba),
        "decision_function": decide,
    }


def boosting_regressor(model: Any, compiler: Compiler) -> Part:
    raw = raw_sums(model, compiler)

    def predict(block: Any) -> np.ndarray:
        return raw(block).ravel()

    return {"predict": predict}


def raw_sums(model: Any, compiler: Compiler) -> Callable[[Any], np.ndarray]:
    """Return a function that computes the sums of the trees, (n_rows, n_trees of one iteration).

    Raises:
        UnplannedError: The initial value depends on the row.
    """
    if model.init is not None and model.init != "zero":
        raise UnplannedError("the boosting starts with another estimator")
    width = model.estimators_[0][0].tree_.n_features
    if is_record(model):
        first = initial_sums(model, np.shape(model.estimators_)[1], compiler)
    else:
        begin = getattr(model, "_raw_predict_init", None) or model._init_decision_function
        first = begin(np.zeros((1, width)))
    add = traverse(model.estimators_, model.learning_rate)

    def raw(block: Any) -> np.ndarray:
        rows = all_finite(float32_rows(block, width))
        sums = np.repeat(first, len(rows), axis=0)
        add(rows, sums)
        return sums

    return raw


COMPILERS: Compilers = {
    **adaboost.COMPILERS,
    **isolation.COMPILERS,
    "ExtraTreesClassifier": forest_classifier,
    "ExtraTreesRegressor": forest_regressor,
    "GradientBoostingClassifier": boosting_classifier,
    "GradientBoostingRegressor": boosting_regressor,
    "RandomForestClassifier": forest_classifier,
    "RandomForestRegressor": forest_regressor,
}
