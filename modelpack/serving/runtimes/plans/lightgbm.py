"""LightGBM: Boosters, and its estimators for scikit-learn."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .boosted import NEAR_ZERO, BoostedTrees, output_count, reader
from .compiler import Compiler, Compilers, Part, UnplannedError
from .links import exp64, log1p64, softmax64

Step = Callable[[np.ndarray], np.ndarray]

IDENTITIES = {
    "", "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank",
    "rank_xendcg",
}  # fmt: skip
LOGARITHMIC = {"poisson", "gamma", "tweedie"}


SINCE_4_7 = "_fitted_with_feature_names"
"""An attribute of estimators since LightGBM 4.7, whose classifiers have a decision function."""


def booster(model: Any, _compiler: Compiler) -> Part:
    return {"predict": _predict(model)}


def classifier(model: Any, _compiler: Compiler) -> Part:
    predict, classes = _predict(model._Booster), np.asarray(model._le.classes_)
    if not model._Booster.objective:
        raise UnplannedError("a classifier of LightGBM has an objective of its author")
    is_binary = len(classes) <= 2

    def proba(block: Any) -> np.ndarray:
        result = predict(block)
        return np.vstack((1.0 - result, result)).transpose() if is_binary else result

    def choose(block: Any) -> np.ndarray:
        return np.asarray(classes[np.argmax(proba(block), axis=1)])

    part: Part = {"predict": choose, "predict_proba": proba}
    if hasattr(model, SINCE_4_7):
        part["decision_function"] = _predict(model._Booster, is_raw=True)
    return part


def regressor(model: Any, _compiler: Compiler) -> Part:
    return {"predict": _predict(model._Booster)}


def _predict(model: Any, is_raw: bool = False) -> Callable[[Any], np.ndarray]:
    """Return the prediction of a Booster: (n_rows,), or (n_rows, n_outputs) for several.

    With `is_raw`, the function of the objective is not applied.
    """
    columns, best = output_count(model.trees_per_round), int(model.best_iteration)
    trees = BoostedTrees(model, columns * best if best > 0 else None)
    rounds = len(trees.splits) // columns
    rows_of, sum_up = reader(model, np.nan, 0.0), trees.sums(np.zeros(columns))
    link = _unchanged if is_raw else _link(str(model.objective), columns)
    is_average = bool(model.is_average)

    def predict(block: Any) -> np.ndarray:
        rows = rows_of(block)
        rows = np.where(np.abs(rows) <= NEAR_ZERO, 0.0, rows)
        sums = sum_up(trees.rows(rows))
        if is_average:
            sums /= rounds
        result = link(sums)
        return result[:, 0] if columns == 1 else result

    return predict


def _link(objective: str, columns: int) -> Step:
    """Return the function that LightGBM applies to sums (n_rows, n_columns).

    Args:
        objective: Its name and parameters, as in "binary sigmoid:1".
        columns: Number of columns.

    Raises:
        UnplannedError: The objective has no plan.
    """
    name, *words = objective.split() or [""]
    parameters = dict(word.split(":", 1) for word in words if ":" in word)
    if name in IDENTITIES:
        return _signed_square if "sqrt" in words else _unchanged
    if name in LOGARITHMIC:
        return exp64
    if name in ("binary", "multiclassova"):
        slope = float(parameters["sigmoid"])
        return lambda sums: 1.0 / (1.0 + exp64(-slope * sums))
    if name == "multiclass" and columns > 1:
        return softmax64
    if name in ("cross_entropy", "xentropy"):
        return lambda sums: 1.0 / (1.0 + exp64(-sums))
    if name in ("cross_entropy_lambda", "xentlambda"):
        return lambda sums: log1p64(exp64(sums))
    raise UnplannedError(f"the objective {name} of LightGBM has no compiled form")


def _unchanged(sums: np.ndarray) -> np.ndarray:
    return sums


def _signed_square(sums: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(sums) * sums * sums)


COMPILERS: Compilers = {
    "LGBMClassifier": classifier,
    "LGBMRanker": regressor,
    "LGBMRegressor": regressor,
}
