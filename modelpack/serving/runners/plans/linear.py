"""Linear models: rows times coefficients."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from scipy.special import expit  # type: ignore[import-untyped]

from .arrays import finite, softmax
from .compiler import Compiler, Compilers, Part

Function = Callable[[Any], np.ndarray]


def logistic_regression(model: Any, compiler: Compiler) -> Part:
    decide, classes = decision(model, compiler), model.classes_
    by_class = getattr(model, "multi_class", "auto")  # parameters of scikit-learn before 1.8
    one_by_one = by_class in ("ovr", "warn") or (
        by_class in ("auto", "deprecated") and (len(classes) == 2 or model.solver == "liblinear")
    )
    proba = one_versus_rest(decide) if one_by_one else multinomial(decide)
    return {
        "predict": labels(decide, classes),
        "predict_proba": proba,
        "decision_function": decide,
    }


def decision(model: Any, compiler: Compiler) -> Function:
    """(n_rows, n_classes), or of two classes (n_rows,)."""
    coefficients, intercept, dot = model.coef_.T, model.intercept_, compiler.dot
    is_flat = coefficients.ndim == 2 and coefficients.shape[1] == 1

    def decide(block: np.ndarray) -> np.ndarray:
        scores = finite(dot(block, coefficients) + intercept)
        return np.asarray(scores.ravel() if is_flat else scores)

    return decide


def labels(decide: Function, classes: np.ndarray) -> Function:
    def predict(block: np.ndarray) -> np.ndarray:
        scores = decide(block)
        chosen = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        return np.asarray(classes.take(chosen))

    return predict


def one_versus_rest(decide: Function) -> Function:
    def proba(block: np.ndarray) -> np.ndarray:
        scores = decide(block)
        each = np.asarray(expit(scores))
        if each.ndim == 1:
            return np.asarray(np.vstack([1 - each, each]).T)
        each /= finite_sums(each)
        return np.asarray(each)

    return proba


def finite_sums(each: np.ndarray) -> np.ndarray:
    """Of each row, as a column; DoubtError where one is zero, which estimators treat by itself."""
    sums = np.asarray(each.sum(axis=1).reshape((each.shape[0], -1)))
    finite(1 / sums)
    return sums


def multinomial(decide: Function) -> Function:
    def proba(block: np.ndarray) -> np.ndarray:
        scores = decide(block)
        return softmax(np.c_[-scores, scores] if scores.ndim == 1 else scores)

    return proba


COMPILERS: Compilers = {"LogisticRegression": logistic_regression}
