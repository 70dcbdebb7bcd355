"""The losses of boosting without scikit-learn: initial values, probabilities and classes.

Initial values of scikit-learn since 1.4 are logits by scipy, whose releases have two formulas. So
they may differ by 3.4e-16 from those of an estimator with an older scipy than 1.17. Other values
have the same bits with the same numpy. With numpy 2.4 instead of 1.16 to 1.23, probabilities differ
by at most 5 ulp of 1.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from .arithmetic import both_classes_in_c, expit, softmax
from .compiler import Compiler, Part, UnplannedError, after

Step = Callable[[np.ndarray], np.ndarray]

LOGARITHMIC = {"poisson", "gamma"}
"""Losses of histogram gradient boosting whose sums are logarithms."""


def initial_sums(model: Any, columns: int, compiler: Compiler) -> np.ndarray:
    """Return what the sums of gradient boosting start with, (1, columns)."""
    first = model.init_
    if model.init == "zero":
        return np.zeros((1, columns))
    if not compiler.since(0, 21):
        return np.full((1, columns), _first_before_0_21(first), np.float64)
    if not hasattr(model, "classes_"):
        return np.asarray(first.constant_, np.float64).reshape((1, 1))
    # The limit is a number of float32 in both bounds before 1.9.
    limit = np.finfo(np.float64 if compiler.since(1, 9) else np.float32).eps
    prior = np.asarray(first.class_prior_, np.float64).reshape((1, -1))
    clipped = np.clip(prior, np.float64(limit), np.float64(1 - limit))
    if columns > 1:
        if not compiler.since(1, 4):
            return np.asarray(np.log(clipped))
        mean = np.exp(np.log(clipped).mean(axis=1))
        return np.asarray(np.log(clipped / mean[:, np.newaxis]))
    positive = clipped[:, 1]
    is_by_scipy = compiler.since(1, 4)
    odds = _logit(positive[0]) if is_by_scipy else np.log(positive / (1 - positive))
    return np.reshape((0.5 if model.loss == "exponential" else 1.0) * odds, (1, 1))


def _first_before_0_21(first: Any) -> Any:
    names = ("mean", "quantile", "prior", "priors")
    return next(getattr(first, name) for name in names if hasattr(first, name))


def _logit(share: float) -> float:
    """Compute the logit as scipy 1.17 does, with the functions of the C library."""
    if share < 0.3 or share > 0.65:
        return math.log(share / (1 - share))
    doubled = 2 * (share - 0.5)
    return math.log1p(doubled) - math.log1p(-doubled)


def boosting_part(model: Any, decide: Callable[[Any], np.ndarray], compiler: Compiler) -> Part:
    """Return the methods of a classifier by gradient boosting.

    Args:
        model: The record.
        decide: Its decision function, (n_rows,) for two classes, else (n_rows, n_classes).
        compiler: The compiler of the plan.
    """
    proba, is_exponential = _boosting_proba(model, compiler), model.loss == "exponential"
    classes = model.classes_

    def choose(scores: np.ndarray) -> np.ndarray:
        if scores.ndim == 1 and (is_exponential or compiler.since(1, 4)):
            codes = (scores >= 0).astype(np.intp)
        else:
            codes = np.argmax(scores if compiler.since(1, 4) else proba(scores), axis=1)
        return np.asarray(classes.take(codes, axis=0))

    return {
        "predict": after(decide, choose),
        "predict_proba": after(decide, proba),
        "decision_function": decide,
    }


def _boosting_proba(model: Any, compiler: Compiler) -> Step:
    if model.loss not in {"log_loss", "deviance", "exponential"}:
        raise UnplannedError("the boosting has an unknown loss")
    factor = 2.0 if model.loss == "exponential" else 1.0

    def proba(scores: np.ndarray) -> np.ndarray:
        if scores.ndim == 1:
            return both_classes_in_c(expit(factor * scores))
        if compiler.since(1, 4):
            return softmax(scores)
        return np.asarray(np.nan_to_num(_shares(scores, 1)))

    return proba


def histogram_classifier_part(
    model: Any, raw: Callable[[Any], np.ndarray], compiler: Compiler
) -> Part:
    """Return the methods of a classifier by histogram gradient boosting.

    Args:
        model: The record.
        raw: Its sums: (n_rows, n_columns), transposed before scikit-learn 1.1.
        compiler: The compiler of the plan.
    """
    is_turned, classes = not compiler.since(1, 1), model.classes_

    def proba(sums: np.ndarray) -> np.ndarray:
        if sums.shape[0 if is_turned else 1] == 1:
            return both_classes_in_c(expit(sums.ravel()))
        return _shares(sums, 0).T if is_turned else softmax(sums)

    def choose(sums: np.ndarray) -> np.ndarray:
        if not compiler.since(1, 5):
            codes = np.argmax(proba(sums), axis=1)
        elif sums.shape[1] == 1:
            codes = (sums.ravel() > 0).astype(np.intp)
        else:
            codes = np.argmax(sums, axis=1)
        return np.asarray(classes[codes])

    def decide(sums: np.ndarray) -> np.ndarray:
        scores = sums.T if is_turned else sums
        return scores.ravel() if scores.shape[1] == 1 else scores

    return {
        "predict": after(raw, choose),
        "predict_proba": after(raw, proba),
        "decision_function": after(raw, decide),
    }


def histogram_regressor_part(model: Any, raw: Callable[[Any], np.ndarray]) -> Part:
    """Return the method of a regressor by histogram gradient boosting; see above for `raw`."""
    is_logarithmic = model.loss in LOGARITHMIC

    def predict(sums: np.ndarray) -> np.ndarray:
        return np.exp(sums.ravel()) if is_logarithmic else sums.ravel()

    return {"predict": after(raw, predict)}


def _shares(scores: np.ndarray, axis: int) -> np.ndarray:
    """Return the exponentials of `scores` divided by their sums, by way of logarithms."""
    highest = scores.max(axis=axis, keepdims=True)
    sums = np.log(np.exp(scores - highest).sum(axis=axis, keepdims=True))
    return np.asarray(np.exp(scores - (sums + highest)))
