"""Forests: means of what many decision trees say."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .compiler import Compiler, Compilers, Part
from .trees import require_one_output, shares, takes_nan
from .walks import COPIED, build_tree, narrow, traverse

BLOCK = 1 << 15
"""Shares that are added up at once; a loop over the trees is as quick for more of them, and needs
less memory."""

Sums = Callable[[np.ndarray], np.ndarray]
"""Of float32 rows: (n_rows, n_columns), what the trees say added up in their order."""


def forest_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    tables = [shares(tree) for tree in model.estimators_]
    mean = _mean(model, _votes(model, tables), _one_by_one(model, tables))
    classes = model.classes_

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(mean(block), axis=1), axis=0))

    return {"predict": predict, "predict_proba": mean}


def forest_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    add = traverse([[tree] for tree in model.estimators_])

    def walked(rows: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(rows), 1))
        add(rows, sums)
        return sums

    asked = [tree.tree_.predict for tree in model.estimators_]
    mean = _mean(model, walked, partial(_added, asked, 1))

    def predict(block: Any) -> np.ndarray:
        return mean(block).ravel()

    return {"predict": predict}


def _mean(model: Any, walked: Sums | None, one_by_one: Sums) -> Callable[[Any], np.ndarray]:
    """`one_by_one`: for rows with missing values, which `walked` would not see, or where there is
    no `walked`.
    """
    width, count = model.estimators_[0].tree_.n_features, len(model.estimators_)
    is_nan_taken = takes_nan(model)

    def mean(block: Any) -> np.ndarray:
        rows = narrow(block, width)
        is_finite = np.isfinite(rows).all()
        if not is_finite and (not is_nan_taken or np.isinf(rows).any()):
            raise FallbackRequiredError
        sums = walked(rows) if walked is not None and is_finite else one_by_one(rows)
        sums /= count
        return sums

    return mean


def _one_by_one(model: Any, tables: list[np.ndarray]) -> Sums:
    """By one call for each tree, which needs no memory."""
    asked = [
        tree.tree_.predict
        if np.may_share_memory(table, tree.tree_.value)
        else partial(tree.predict_proba, check_input=False)
        for tree, table in zip(model.estimators_, tables)
    ]
    return partial(_added, asked, model.n_classes_)


def _added(
    asked: list[Callable[[np.ndarray], np.ndarray]], width: int, rows: np.ndarray
) -> np.ndarray:
    sums = np.zeros((len(rows), width))
    for ask in asked:
        sums += ask(rows)
    return sums


def _votes(model: Any, tables: list[np.ndarray]) -> Sums | None:
    """By one call for all trees, copies of them whose leaves have numbers; if they are not too
    large to be copied. `tables`: the shares of each.
    """
    states = [tree.tree_.__getstate__() for tree in model.estimators_]
    if sum(state["nodes"].nbytes + table.nbytes for state, table in zip(states, tables)) > COPIED:
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
        return _taken(table, numbers.T.astype(np.intp, order="C"))

    return votes


def _taken(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows of `table`, those of `places` (n, n_rows) added up over n, one after the other."""
    if places.size * table.shape[1] <= BLOCK:
        return np.asarray(np.add.reduce(table.take(places, axis=0), axis=0))
    sums = np.zeros((places.shape[1], table.shape[1]))
    for chosen in places:
        sums += table.take(chosen, axis=0)
    return sums


COMPILERS: Compilers = {
    "RandomForestClassifier": forest_classifier,
    "RandomForestRegressor": forest_regressor,
    "ExtraTreesClassifier": forest_classifier,
    "ExtraTreesRegressor": forest_regressor,
}
