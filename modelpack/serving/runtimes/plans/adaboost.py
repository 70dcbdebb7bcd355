"""AdaBoost: estimators that have their weights in what is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable

import numpy as np

from .arithmetic import PAIRED
from .compiler import Compiler, Compilers, Part, copy_with, same
from .walks import all_finite, matrix, width_of


def adaboost(model: Any, compiler: Compiler) -> Part:
    """By its own methods, on plans of its estimators."""
    width = width_of(model.estimators_[0])
    estimators = [SimpleNamespace(**compiler.part(each)) for each in model.estimators_]
    checks = ("_check_X", "_validate_data", "_validate_X_predict")  # by release
    planned = copy_with(model, estimators_=estimators, **dict.fromkeys(checks, same))
    is_apart = getattr(model, "n_classes_", 1) >= PAIRED and compiler.row_by_row

    def checked(method: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
        def call(block: Any) -> np.ndarray:
            rows = all_finite(matrix(block, width))
            if is_apart:
                return np.concatenate([method(row) for row in np.split(rows, len(rows))])
            return method(rows)

        return call

    methods = ("predict", "predict_proba", "decision_function")
    return {name: checked(getattr(planned, name)) for name in methods if hasattr(planned, name)}


COMPILERS: Compilers = {"AdaBoostClassifier": adaboost, "AdaBoostRegressor": adaboost}
