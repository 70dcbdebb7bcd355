"""The scores of a linear model: an intercept, and a coefficient for each column."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from .steps import UnavailableError

PAIR = 2


class Scores(NamedTuple):
    """Linear functions of the columns.

    Attributes:
        coefficients: (n_scores, n_columns)
        intercepts: (n_scores,)
        threshold: Columns are 1 above it, 0 otherwise. None: they are used as they are.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    threshold: float | None = None

    def columns(self, values: np.ndarray) -> np.ndarray:
        """Return the values that the coefficients are multiplied by."""
        return values if self.threshold is None else (values > self.threshold).astype(np.float64)


def is_linear(predictor: Any) -> bool:
    """Return whether a fitted model has coefficients of its columns."""
    if type(predictor).__name__ in _BAYES:
        return True
    return all(getattr(predictor, name, None) is not None for name in ("coef_", "intercept_"))


def scores_of(predictor: Any, width: int) -> Scores:
    """Return the scores of a linear model of `width` columns.

    Raises:
        UnavailableError: Its coefficients do not belong to the columns.
    """
    read = _BAYES.get(type(predictor).__name__, _coefficients)
    scores: Scores = read(predictor)
    if scores.coefficients.shape[1] != width:
        raise UnavailableError("The model does not have one coefficient per column.")
    return scores


def _coefficients(predictor: Any) -> Scores:
    values = predictor.coef_
    dense = values.toarray() if hasattr(values, "toarray") else values
    coefficients = np.atleast_2d(np.asarray(dense, np.float64))
    intercepts = np.asarray(predictor.intercept_, np.float64).ravel()
    means = getattr(predictor, "_x_mean", None)  # which PLSRegression subtracts
    if means is not None and coefficients.shape[1] == len(means):
        intercepts = intercepts - coefficients @ means
    return Scores(coefficients, intercepts)


# Naive Bayes for counts is linear: the logarithms of the probabilities of a class add up.


def _multinomial(predictor: Any) -> Scores:
    return _log_odds(predictor.feature_log_prob_, predictor.class_log_prior_)


def _complement(predictor: Any) -> Scores:
    weights = predictor.feature_log_prob_
    prior = predictor.class_log_prior_ if len(weights) == 1 else np.zeros(len(weights))
    return _log_odds(weights, prior)


def _bernoulli(predictor: Any) -> Scores:
    present = predictor.feature_log_prob_
    absent = np.log(1 - np.exp(present))
    prior = predictor.class_log_prior_ + absent.sum(axis=1)
    return _log_odds(present - absent, prior)._replace(threshold=predictor.binarize)


def _log_odds(weights: np.ndarray, prior: np.ndarray) -> Scores:
    """Return the scores of the classes, of two classes the difference between both."""
    if len(weights) == PAIR:
        weights, prior = weights[1:] - weights[:1], prior[1:] - prior[:1]
    return Scores(np.asarray(weights, np.float64), np.asarray(prior, np.float64))


_BAYES: dict[str, Callable[[Any], Scores]] = {
    "BernoulliNB": _bernoulli,
    "ComplementNB": _complement,
    "MultinomialNB": _multinomial,
}
