"""AdaBoost."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import numpy as np

from .arithmetic import PAIRED, softmax
from .compiler import Compiler, Compilers, Part, UnplannedError, copy_with, identity
from .records import is_record
from .trees import COMPILERS as TREES
from .trees import all_finite, float32_rows, matrix, width_of


def adaboost(model: Any, compiler: Compiler) -> Part:
    """Combine the results of the plans of its estimators by the methods of AdaBoost."""
    width = width_of(model.estimators_[0])
    estimators = [SimpleNamespace(**compiler.part(each)) for each in model.estimators_]
    if is_record(model):
        methods = _methods(model, estimators, compiler)
    else:
        checks = ("_check_X", "_validate_data", "_validate_X_predict")  # by release
        planned = copy_with(model, estimators_=estimators, **dict.fromkeys(checks, identity))
        names = ("predict", "predict_proba", "decision_function")
        methods = {name: getattr(planned, name) for name in names if hasattr(planned, name)}
    # Trees take rows of 32 bits, and predict the same for a sparse matrix.
    is_of_trees = all(type(each).__name__ in TREES for each in model.estimators_)
    read = float32_rows if is_of_trees else matrix
    is_row_by_row = getattr(model, "n_classes_", 1) >= PAIRED and compiler.row_by_row

    def checked(method: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
        def call(block: Any) -> np.ndarray:
            rows = all_finite(read(block, width))
            if is_row_by_row:
                return np.concatenate([method(row) for row in np.split(rows, len(rows))])
            return method(rows)

        return call

    return {name: checked(method) for name, method in methods.items()}


def _methods(model: Any, estimators: Sequence[Any], compiler: Compiler) -> Part:
    """Return the methods of a record."""
    weights = np.asarray(model.estimator_weights_, np.float64)
    if not hasattr(model, "classes_"):
        return {"predict": partial(_weighted_median, estimators, weights)}
    classes = model.classes_
    if len(classes) == 1:
        return _single_class(classes, compiler)
    decide = _decision(model, estimators, weights, compiler)

    def predict(rows: np.ndarray) -> np.ndarray:
        scores = decide(rows)
        codes = (scores > 0).astype(np.intp) if scores.ndim == 1 else np.argmax(scores, axis=1)
        return np.asarray(classes.take(codes, axis=0))

    def proba(rows: np.ndarray) -> np.ndarray:
        scores = decide(rows)
        if scores.ndim == 1:
            return softmax(np.vstack([-scores, scores]).T / 2)
        scores /= len(classes) - 1
        return softmax(scores)

    is_old = not compiler.since(0, 22)
    return {
        "predict": predict,
        "predict_proba": _old_proba(model, estimators, weights) if is_old else proba,
        "decision_function": decide,
    }


def _single_class(classes: np.ndarray, compiler: Compiler) -> Part:
    if not compiler.since(1, 6):
        raise UnplannedError("scikit-learn before 1.6 divides by zero for a single class")
    return {
        "predict": lambda rows: classes.take(np.zeros(len(rows), np.intp)),
        "predict_proba": lambda rows: np.ones((len(rows), 1)),
        "decision_function": lambda rows: np.zeros((len(rows), 1)),
    }


def _decision(
    model: Any, estimators: Sequence[Any], weights: np.ndarray, compiler: Compiler
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the decision function, (n_rows,) for two classes, else (n_rows, n_classes)."""
    count, total = len(model.classes_), weights.sum()
    if getattr(model, "algorithm", "SAMME") == "SAMME.R":
        votes = partial(_centred_logarithms, estimators, count)
    else:
        others = -1 / (count - 1) if compiler.since(1, 3) else 0.0
        votes = partial(_votes, estimators, weights, model.classes_, others)

    def decide(rows: np.ndarray) -> np.ndarray:
        scores = votes(rows)
        scores /= total
        if count > 2:
            return scores
        scores[:, 0] *= -1
        return np.asarray(scores.sum(axis=1))

    return decide


def _votes(
    estimators: Sequence[Any],
    weights: np.ndarray,
    classes: np.ndarray,
    others: float,
    rows: np.ndarray,
) -> np.ndarray:
    """Add up the weights of the estimators for their classes, and `others` times it elsewhere."""
    column = classes[:, np.newaxis]
    total: Any = 0
    for estimator, weight in zip(estimators, weights):
        total = total + np.where((estimator.predict(rows) == column).T, weight, others * weight)
    return np.asarray(total)


def _centred_logarithms(estimators: Sequence[Any], count: int, rows: np.ndarray) -> np.ndarray:
    """Add up the logarithms of the probabilities minus their means, for SAMME.R."""
    total: Any = 0
    for estimator in estimators:
        proba = np.clip(estimator.predict_proba(rows), np.finfo(np.float64).eps, None)
        logarithms = np.log(proba)
        means = (1.0 / count) * logarithms.sum(axis=1)[:, np.newaxis]
        total = total + (count - 1) * (logarithms - means)
    return np.asarray(total)


def _old_proba(
    model: Any, estimators: Sequence[Any], weights: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the probabilities as scikit-learn before 0.22 computes them."""
    count, total = len(model.classes_), weights.sum()

    def weighted(rows: np.ndarray) -> np.ndarray:
        sums: Any = 0
        for estimator, weight in zip(estimators, weights):
            sums = sums + estimator.predict_proba(rows) * weight
        return np.asarray(sums)

    is_real = model.algorithm == "SAMME.R"
    votes = partial(_centred_logarithms, estimators, count) if is_real else weighted

    def proba(rows: np.ndarray) -> np.ndarray:
        sums = votes(rows)
        sums /= total
        powers = np.exp((1.0 / (count - 1)) * sums)
        divisors = powers.sum(axis=1)[:, np.newaxis]
        divisors[divisors == 0] = 1
        powers /= divisors
        return np.asarray(powers)

    return proba


def _weighted_median(
    estimators: Sequence[Any], weights: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return the weighted median of the predictions of the estimators."""
    predictions = np.array([estimator.predict(rows) for estimator in estimators]).T
    order = np.argsort(predictions, axis=1)
    cumulated = np.cumsum(weights[order], axis=1)
    chosen = (cumulated >= 0.5 * cumulated[:, -1:]).argmax(axis=1)
    numbers = np.arange(len(rows))
    return np.asarray(predictions[numbers, order[numbers, chosen]])


COMPILERS: Compilers = {"AdaBoostClassifier": adaboost, "AdaBoostRegressor": adaboost}
