"""Histogram gradient boosting."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .arithmetic import PAIRED
from .categories import Categories
from .compiler import (
    Compiler,
    Compilers,
    Part,
    UnplannedError,
    after,
    copy_with,
    identity,
    nameless,
)
from .losses import histogram_classifier_part, histogram_regressor_part
from .records import is_record
from .traversal import Traversal
from .trees import MAX_COPIED, width_of

Rows = Callable[[Any], np.ndarray]


def histogram_classifier(model: Any, compiler: Compiler) -> Part:
    raw = raw_sums(model, compiler)
    if is_record(model):
        return histogram_classifier_part(model, raw, compiler)
    summed = copy_with(model, _raw_predict=identity)
    return {
        name: after(raw, getattr(summed, name))
        for name in ("predict", "predict_proba", "decision_function")
    }


def histogram_regressor(model: Any, compiler: Compiler) -> Part:
    raw = raw_sums(model, compiler)
    if is_record(model):
        return histogram_regressor_part(model, raw)
    summed = copy_with(model, _raw_predict=identity)
    return {"predict": after(raw, summed.predict)}


def raw_sums(model: Any, compiler: Compiler) -> Rows:
    """Return a function that equals the model's `_raw_predict`.

    Its result is (n_rows, n_trees of one iteration) in Fortran order, transposed before
    scikit-learn 1.1.

    Raises:
        UnplannedError: The model is too large, or of a release with other trees.
    """
    if not compiler.since(0, 22):
        raise UnplannedError("scikit-learn before 0.22 has other histogram gradient boosting")
    trees = [tree for several in model._predictors for tree in several]
    width, columns = width_of(model), len(model._predictors[0])
    if is_record(model):
        is_turned = not compiler.since(1, 1)
        layout = is_turned, is_turned
    else:
        if sum(tree.nodes.nbytes for tree in trees) > MAX_COPIED:
            raise UnplannedError("the model is too large")
        layout = _model_layout(model, width, columns)
    categories = Categories(model, trees, width, compiler)
    traversal = Traversal(categories.splits, np.float64)
    add = traversal.walk([tree.nodes["value"] for tree in trees], columns)
    arranged = _arranged(layout, columns, compiler)
    start = np.asarray(model._baseline_prediction + 0.0, np.float64).ravel()

    def raw(block: Any) -> np.ndarray:
        rows = categories.rows(block)
        sums = np.empty((len(rows), columns))
        sums[:] = start
        add(rows, sums)
        return arranged(sums)

    return raw


def _model_layout(model: Any, width: int, columns: int) -> tuple[bool, bool]:
    """Return whether the model's sums are transposed, and whether they are in C order."""
    own = nameless(model)._raw_predict(np.zeros((columns + 1, width)))
    return own.shape == (columns, columns + 1), own.flags.c_contiguous


def _arranged(layout: tuple[bool, bool], columns: int, compiler: Compiler) -> Rows:
    """Return a function that gives sums (n_rows, columns) the shape and order of the model's sums.

    The memory order decides in which order exponentials are added up.
    """
    is_turned, is_listed = layout
    if columns >= PAIRED and compiler.row_by_row:
        is_listed = not is_turned  # the sums of one row lie side by side
    ordered = np.ascontiguousarray if is_listed else np.asfortranarray

    def arrange(sums: np.ndarray) -> np.ndarray:
        return np.asarray(ordered(sums.T if is_turned else sums))

    return arrange


COMPILERS: Compilers = {
    "HistGradientBoostingClassifier": histogram_classifier,
    "HistGradientBoostingRegressor": histogram_regressor,
}
