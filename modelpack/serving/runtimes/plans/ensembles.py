"""Forests, AdaBoost, gradient boosting."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import PAIRED
from .compiler import Compiler, Compilers, Part, UnplannedError, after, copy_with, identity
from .trees import (
    MAX_COPIED,
    accepts_nan,
    all_finite,
    build_tree,
    class_probabilities,
    float32_rows,
    matrix,
    require_one_output,
    traverse,
    width_of,
)

BLOCK = 1 << 15
"""Size up to which probabilities are added in one call. A loop over the trees is as fast for larger
blocks, and needs less memory."""

Sums = Callable[[np.ndarray], np.ndarray]
"""Function from float32 rows to the sums of the trees in their order, (n_rows, n_columns)."""


def forest_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    tables = [class_probabilities(tree) for tree in model.estimators_]
    mean = _mean(model, _votes(model, tables), _one_by_one(model, tables))
    classes = model.classes_

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(mean(block), axis=1), axis=0))

    return {"predict": predict, "predict_proba": mean}


def forest_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    add = traverse([[tree] for tree in model.estimators_])

    def traversed(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(rows), 1))
        add(rows, sums)
        return sums

    functions = [tree.tree_.predict for tree in model.estimators_]
    mean = _mean(model, traversed, partial(_added, functions, 1))

    def predict(block: Any) -> np.ndarray:
        return mean(block).ravel()

    return {"predict": predict}


def _mean(model: Any, traversed: Sums | None, one_by_one: Sums) -> Callable[[Any], np.ndarray]:
    """Return a function that computes the mean of the trees.

    It calls `one_by_one` for rows with missing values, which `traversed` does not support, or if
    `traversed` is None.
    """
    width, count = model.estimators_[0].tree_.n_features, len(model.estimators_)
    is_nan_taken = accepts_nan(model)

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


def _votes(model: Any, tables: list[np.ndarray]) -> Sums | None:
    """Return a function that traverses all trees in one call; None if they are too large to copy.

    The values of the copies are numbers of leaves. `tables` are the probabilities of each tree.
    """
    states = [tree.tree_.__getstate__() for tree in model.estimators_]
    if (
        sum(state["nodes"].nbytes + table.nbytes for state, table in zip(states, tables))
        > MAX_COPIED
    ):
        return None
    leaves = [state["nodes"]["left_child"] < 0 for state in states]
    table = np.concatenate([table[is_leaf] for table, is_leaf in zip(tables, leaves)])
    width, first, trees = model.estimators_[0].tree_.n_features, 0, []
    for state, is_leaf in zip(states, leaves):
        numbers = first + np.cumsum(is_leaf) - 1
        trees.append(build_tree(width, state["nodes"], state["max_depth"], numbers))
        first = numbers[-1] + 1
    add = traverse([trees])

    def votes(rows: np.ndarray) -> np.ndarray:
        numbers = np.zeros((len(rows), len(trees)))
        add(rows, numbers)
        return _row_sums(table, numbers.T.astype(np.intp, order="C"))

    return votes


def _row_sums(table: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Add up the rows of `table` with `indices` (n, n_rows) over n, in order."""
    if indices.size * table.shape[1] <= BLOCK:
        return np.asarray(np.add.reduce(table.take(indices, axis=0), axis=0))
    sums = np.zeros((indices.shape[1], table.shape[1]))
    for chosen in indices:
        sums += table.take(chosen, axis=0)
    return sums


def boosting_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    raw = raw_sums(model)

    def decide(block: Any) -> np.ndarray:
        sums = raw(block)
        return sums.ravel() if sums.shape[1] == 1 else sums

    decided = copy_with(model, decision_function=identity)
    return {
        "predict": after(decide, decided.predict),
        "predict_proba": after(decide, decided.predict_proba),
        "decision_function": decide,
    }


def boosting_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    raw = raw_sums(model)

    def predict(block: Any) -> np.ndarray:
        return raw(block).ravel()

    return {"predict": predict}


def raw_sums(model: Any) -> Callable[[Any], np.ndarray]:
    """Return a function that computes the sums of the trees, (n_rows, n_trees of one iteration).

    Raises:
        UnplannedError: The initial value depends on the row.
    """
    if model.init is not None and model.init != "zero":
        raise UnplannedError("the boosting starts with another estimator")
    width = model.estimators_[0, 0].tree_.n_features
    begin = getattr(model, "_raw_predict_init", None) or model._init_decision_function
    first = begin(np.zeros((1, width)))
    add = traverse(model.estimators_, model.learning_rate)

    def raw(block: Any) -> np.ndarray:
        rows = all_finite(float32_rows(block, width))
        sums = np.repeat(first, len(rows), axis=0)
        add(rows, sums)
        return sums

    return raw


def adaboost(model: Any, compiler: Compiler) -> Part:
    """Call the methods of AdaBoost with the plans of its estimators."""
    width = width_of(model.estimators_[0])
    estimators = [SimpleNamespace(**compiler.part(each)) for each in model.estimators_]
    checks = ("_check_X", "_validate_data", "_validate_X_predict")  # by release
    planned = copy_with(model, estimators_=estimators, **dict.fromkeys(checks, identity))
    is_row_by_row = getattr(model, "n_classes_", 1) >= PAIRED and compiler.row_by_row

    def checked(method: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
        def call(block: Any) -> np.ndarray:
            rows = all_finite(matrix(block, width))
            if is_row_by_row:
                return np.concatenate([method(row) for row in np.split(rows, len(rows))])
            return method(rows)

        return call

    methods = ("predict", "predict_proba", "decision_function")
    return {name: checked(getattr(planned, name)) for name in methods if hasattr(planned, name)}


COMPILERS: Compilers = {
    "AdaBoostClassifier": adaboost,
    "AdaBoostRegressor": adaboost,
    "ExtraTreesClassifier": forest_classifier,
    "ExtraTreesRegressor": forest_regressor,
    "GradientBoostingClassifier": boosting_classifier,
    "GradientBoostingRegressor": boosting_regressor,
    "RandomForestClassifier": forest_classifier,
    "RandomForestRegressor": forest_regressor,
}
