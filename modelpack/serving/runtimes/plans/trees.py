"""Single decision trees."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .compiler import Compiler, Compilers, Part, UnplannedError, copy_with, nameless
from .walks import narrow

Function = Callable[[Any], np.ndarray]


def tree_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    classes, tree, rows_of = model.classes_, model.tree_, reader(model)
    table = shares(model)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(tree.predict(rows_of(block)), axis=1), axis=0))

    def proba(block: Any) -> np.ndarray:
        return np.asarray(table.take(tree.apply(rows_of(block)), axis=0))

    return {"predict": predict, "predict_proba": proba}


def tree_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    tree, rows_of = model.tree_, reader(model)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(tree.predict(rows_of(block))[:, 0])

    return {"predict": predict}


def require_one_output(model: Any) -> None:
    """Raises:
    UnplannedError: the model has several.
    """
    if model.n_outputs_ != 1:
        raise UnplannedError("it has several outputs")


def reader(tree: Any) -> Function:
    """Return a function that makes float32 rows of a block, as the fitted `tree` takes them.

    It raises FallbackRequiredError where the tree would refuse the rows.
    """
    width = tree.tree_.n_features
    refused = np.isinf if takes_nan(tree, check_input=True) else _is_not_finite

    def rows_of(block: Any) -> np.ndarray:
        rows = narrow(block, width)
        if refused(rows).any():
            raise FallbackRequiredError
        return rows

    return rows_of


def _is_not_finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(~np.isfinite(rows))


def takes_nan(model: Any, **options: bool) -> bool:
    """Whether a fitted tree or forest takes missing values: no tree did before scikit-learn 1.3,
    and no forest before 1.4. `options`: of its check.
    """
    try:
        nameless(model)._validate_X_predict(np.full((1, _width(model)), np.nan), **options)
    except ValueError:
        return False
    return True


def _width(model: Any) -> int:
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    return int(first.tree_.n_features)


def shares(tree: Any) -> np.ndarray:
    """The probabilities of classes (n_nodes, n_classes) that a classifier gives at each node. They
    are its own values since scikit-learn 1.4, without a copy; earlier ones divide them by their
    sums.
    """
    values = np.asarray(tree.tree_.value)[:, 0, : tree.n_classes_]
    row = np.zeros((1, tree.tree_.n_features), np.float32)
    table = np.asarray(copy_with(tree, tree_=_Given(values)).predict_proba(row, check_input=False))
    return values if np.array_equal(table, values) else table


class _Given:
    """In place of a tree: it has been walked."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def predict(self, rows: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.array(self._values)


COMPILERS: Compilers = {
    "DecisionTreeClassifier": tree_classifier,
    "DecisionTreeRegressor": tree_regressor,
    "ExtraTreeClassifier": tree_classifier,
    "ExtraTreeRegressor": tree_regressor,
}
