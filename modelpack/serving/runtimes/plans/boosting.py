"""Gradient boosting: sums of what small trees say, one after the other."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .compiler import Compiler, Compilers, Part, UnplannedError, after, copy_with, same
from .walks import all_finite, narrow, traverse


def boosting_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    raw = raw_sums(model)

    def decide(block: Any) -> np.ndarray:
        sums = raw(block)
        return sums.ravel() if sums.shape[1] == 1 else sums

    decided = copy_with(model, decision_function=same)
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
    """What makes (n_rows, n_trees of one iteration) of a block.

    Raises:
        UnplannedError: the sums do not begin with the same for every row.
    """
    if model.init is not None and model.init != "zero":
        raise UnplannedError("it begins with another estimator")
    width = model.estimators_[0, 0].tree_.n_features
    begin = getattr(model, "_raw_predict_init", None) or model._init_decision_function
    first = begin(np.zeros((1, width)))
    add = traverse(model.estimators_, model.learning_rate)

    def raw(block: Any) -> np.ndarray:
        rows = all_finite(narrow(block, width))
        sums = np.repeat(first, len(rows), axis=0)
        add(rows, sums)
        return sums

    return raw


COMPILERS: Compilers = {
    "GradientBoostingClassifier": boosting_classifier,
    "GradientBoostingRegressor": boosting_regressor,
}
