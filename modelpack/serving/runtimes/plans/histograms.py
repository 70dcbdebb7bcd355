"""Histogram gradient boosting."""

from __future__ import annotations

from typing import Any, Callable, Sequence

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
from .traversal import Traversal, Walk
from .trees import MAX_COPIED, build_tree, matrix, node_dtype, traverse, width_of

FEW_ROWS = 4
"""Number of rows up to which all thresholds are compared at once."""

Rows = Callable[[Any], np.ndarray]


def histogram_classifier(model: Any, compiler: Compiler) -> Part:
    if is_record(model):
        raw = raw_sums_of_record(model, compiler)
        return histogram_classifier_part(model, raw, compiler)
    raw, summed = raw_sums(model, compiler), copy_with(model, _raw_predict=identity)
    return {
        name: after(raw, getattr(summed, name))
        for name in ("predict", "predict_proba", "decision_function")
    }


def histogram_regressor(model: Any, compiler: Compiler) -> Part:
    if is_record(model):
        return histogram_regressor_part(model, raw_sums_of_record(model, compiler))
    raw, summed = raw_sums(model, compiler), copy_with(model, _raw_predict=identity)
    return {"predict": after(raw, summed.predict)}


def raw_sums(model: Any, compiler: Compiler) -> Callable[[Any], np.ndarray]:
    """Return a function that equals the model's `_raw_predict`.

    Its result is (n_rows, n_trees of one iteration) in Fortran order, transposed before
    scikit-learn 1.1.

    The thresholds of each feature are sorted and numbered. The rank of a value is the number of
    thresholds below it. A value is at most a threshold exactly if its rank is at most the number of
    the threshold. So trees of ranks, which float32 represents, predict the same.

    Raises:
        UnplannedError: The model has categories, or is too large.
    """
    trees = [tree.nodes for several in model._predictors for tree in several]
    if getattr(model, "_preprocessor", None) is not None or any(map(_has_categories, trees)):
        raise UnplannedError("the model has categories")
    if sum(map(len, trees)) * node_dtype().itemsize > MAX_COPIED:
        raise UnplannedError("the model is too large")
    width, columns, ranks = width_of(model), len(model._predictors[0]), Ranks(trees)
    add = traverse(np.array(ranks.trees, object).reshape((-1, columns)))
    arranged = _arranged(_model_layout(model, width, columns), columns, compiler)
    return _raw(model, columns, lambda block: ranks.rank(matrix(block, width)), add, arranged)


def raw_sums_of_record(model: Any, compiler: Compiler) -> Rows:
    """Return the same as `raw_sums` for a record, whose trees may have categories."""
    if not compiler.since(0, 22):
        raise UnplannedError("scikit-learn before 0.22 has other histogram gradient boosting")
    trees = [tree for several in model._predictors for tree in several]
    width, columns = width_of(model), len(model._predictors[0])
    categories = Categories(model, trees, width, compiler)
    splits = categories.splits
    traversal = Traversal(splits, np.float64)
    add = traversal.walk([tree.nodes["value"] for tree in trees], columns)
    is_turned = not compiler.since(1, 1)
    arranged = _arranged((is_turned, is_turned), columns, compiler)
    return _raw(model, columns, categories.rows, add, arranged)


def _raw(model: Any, columns: int, rows_of: Rows, add: Walk, arranged: Rows) -> Rows:
    start = np.asarray(model._baseline_prediction + 0.0, np.float64).ravel()

    def raw(block: Any) -> np.ndarray:
        rows = rows_of(block)
        sums = np.empty((len(rows), columns))
        sums[:] = start
        add(rows, sums)
        return arranged(sums)

    return raw


def _has_categories(nodes: np.ndarray) -> bool:
    return "is_categorical" in _names(nodes) and bool(nodes["is_categorical"].any())


def _names(nodes: np.ndarray) -> Sequence[str]:
    return nodes.dtype.names or ()


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


class Ranks:
    """Ranks of values among the thresholds of all `trees`, which have ranks as thresholds."""

    def __init__(self, trees: Sequence[np.ndarray]) -> None:
        inner = [nodes[nodes["is_leaf"] == 0] for nodes in trees]
        features = np.concatenate([nodes["feature_idx"] for nodes in inner])
        thresholds = np.concatenate([_thresholds(nodes) for nodes in inner])
        numbers = np.zeros(len(thresholds))
        self._used = np.unique(features).astype(np.intp)
        self._sorted: list[np.ndarray] = []
        for feature in self._used:
            chosen = features == feature
            ordered, numbers[chosen] = np.unique(thresholds[chosen], return_inverse=True)
            self._sorted.append(ordered)
        longest = max(map(len, self._sorted), default=0)
        self._padded = np.full((len(self._used), longest + 1), np.inf)
        for row, ordered in zip(self._padded, self._sorted):
            row[: len(ordered)] = ordered
        ends = np.cumsum([len(nodes) for nodes in inner])[:-1]
        self.trees = [self._tree(nodes, own) for nodes, own in zip(trees, np.split(numbers, ends))]

    def rank(self, rows: np.ndarray) -> np.ndarray:
        """Return each rank twice, float32 (n_rows, 2 * n_used).

        A missing value has the lowest rank in the first half, and the highest in the second.
        """
        values = rows.take(self._used, axis=1)
        ranks = self._compared(values) if len(values) <= FEW_ROWS else self._searched(values)
        twice = np.empty((len(rows), 2, len(self._used)), np.float32)
        twice[:] = ranks[:, np.newaxis]
        missing = np.isnan(values)
        if missing.any():
            twice[:, 0][missing] = -1
            twice[:, 1][missing] = np.inf
        return twice.reshape((len(rows), -1))

    def _compared(self, values: np.ndarray) -> np.ndarray:
        """Return the index of the first threshold that is not below the value."""
        return np.asarray(np.argmax(self._padded >= values[:, :, np.newaxis], axis=2))

    def _searched(self, values: np.ndarray) -> np.ndarray:
        ranks = np.empty(values.shape)
        columns = np.ascontiguousarray(values.T)
        for index, (ordered, column) in enumerate(zip(self._sorted, columns)):
            ranks[:, index] = ordered.searchsorted(column)
        return ranks

    def _tree(self, own: np.ndarray, numbers: np.ndarray) -> Any:
        """Build a tree of ranks from `numbers`, those of the thresholds of inner nodes.

        A node that sends missing values to the left reads the first of the two ranks.
        """
        is_inner = own["is_leaf"] == 0
        nodes = np.zeros(len(own), node_dtype())
        for side in ("left", "right"):
            nodes[f"{side}_child"] = np.where(is_inner, own[side].astype(np.intp), -1)
        indices = np.searchsorted(self._used, own["feature_idx"][is_inner])
        go_right = own["missing_go_to_left"][is_inner] == 0
        nodes["feature"][is_inner] = indices + len(self._used) * go_right
        nodes["threshold"][is_inner] = numbers
        return build_tree(2 * len(self._used), nodes, int(own["depth"].max()), own["value"])


def _thresholds(nodes: np.ndarray) -> np.ndarray:
    """Return the thresholds of numbers, the only ones before scikit-learn 0.24."""
    return np.asarray(nodes["num_threshold" if "num_threshold" in _names(nodes) else "threshold"])


COMPILERS: Compilers = {
    "HistGradientBoostingClassifier": histogram_classifier,
    "HistGradientBoostingRegressor": histogram_regressor,
}
