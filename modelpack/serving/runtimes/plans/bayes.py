"""Naive Bayes."""

from __future__ import annotations

import sys
from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite, product
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .records import is_record
from .sparse import is_sparse

Function = Callable[[Any], Any]

LARGE = 1 << 20
"""Size of an array from which rows are computed class by class, which needs less memory."""


def gaussian(model: Any, compiler: Compiler) -> Part:
    variances = getattr(model, "var_", None)  # `sigma_` until 0.24
    variances = model.sigma_ if variances is None else variances
    means, priors = model.theta_, np.log(model.class_prior_)
    constants = np.array([-0.5 * np.sum(np.log(2.0 * np.pi * each)) for each in variances])
    is_row_by_row = compiler.row_by_row
    by_class = list(zip(priors, constants, means, variances))

    def by_column(block: np.ndarray) -> np.ndarray:
        """Compute class by class, as the estimator does. The memory order decides the sums."""
        values = [
            prior + (constant - 0.5 * ((block - mean) ** 2 / variance).sum(axis=1))
            for prior, constant, mean, variance in by_class
        ]
        return np.asarray(finite(np.array(values)).T)

    def joint(block: Any) -> np.ndarray:
        rows = contiguous(block)
        if not is_row_by_row and (rows is not block or len(rows) * means.size > LARGE):
            return by_column(block)
        squares = (rows[:, np.newaxis] - means) ** 2 / variances
        sums = finite(priors + (constants - 0.5 * squares.sum(axis=2)))
        return sums if is_row_by_row else np.asfortranarray(sums)  # as the estimator's batches

    return classifier(model, compiler, joint)


def multinomial(model: Any, compiler: Compiler) -> Part:
    weights, priors, dot = (
        model.feature_log_prob_.T,
        model.class_log_prior_,
        product(compiler, 0, 22),
    )
    return classifier(model, compiler, lambda block: finite(dot(block, weights) + priors))


def complement(model: Any, compiler: Compiler) -> Part:
    weights, dot = model.feature_log_prob_.T, product(compiler, 0, 22)
    priors = model.class_log_prior_ if len(model.classes_) == 1 else 0
    return classifier(model, compiler, lambda block: finite(dot(block, weights) + priors))


def bernoulli(model: Any, compiler: Compiler) -> Part:
    absent = np.log(1 - np.exp(model.feature_log_prob_))
    weights, dot = (model.feature_log_prob_ - absent).T, product(compiler, 0, 22)
    constants = model.class_log_prior_ + absent.sum(axis=1)
    binary = binarized(model.binarize)
    return classifier(
        model, compiler, lambda block: finite(dot(binary(block), weights) + constants)
    )


def categorical(model: Any, compiler: Compiler) -> Part:
    tables = [np.asarray(each) for each in model.feature_log_prob_]
    priors = model.class_log_prior_

    def joint(block: Any) -> np.ndarray:
        codes = finite(contiguous(block)).astype(np.intp)
        if codes.shape[1] != len(tables) or (codes < 0).any():
            raise FallbackRequiredError
        if any((codes[:, index] >= each.shape[1]).any() for index, each in enumerate(tables)):
            raise FallbackRequiredError
        sums = np.zeros((len(codes), len(priors)))
        for index, table in enumerate(tables):
            sums += table[:, codes[:, index]].T
        return np.asarray(sums + priors)

    return classifier(model, compiler, joint)


def binarized(threshold: float | None) -> Function:
    """Return a function that replaces values above the threshold by 1, others by 0.

    The estimator rejects sparse rows if the threshold is negative, so zeros would become 1.
    """
    if threshold is None:
        return lambda block: block

    def binary(block: Any) -> Any:
        if not is_sparse(block):
            return (finite(block) > threshold).astype(np.float64)
        if threshold < 0:
            raise FallbackRequiredError
        ones = block.copy()
        ones.data = (finite(block.data) > threshold).astype(np.float64)
        return ones

    return binary


def classifier(model: Any, compiler: Compiler, joint: Function) -> Part:
    """Build the part of a classifier; `joint` computes log likelihoods (n_rows, n_classes)."""
    classes, total = model.classes_, log_sum_exp(model, compiler)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes[joint(block).argmax(axis=1)])

    def predict_proba(block: Any) -> np.ndarray:
        logarithms = joint(block)
        return np.asarray(np.exp(logarithms - total(logarithms)))

    return {"predict": predict, "predict_proba": predict_proba}


def log_sum_exp(model: Any, compiler: Compiler) -> Function:
    """Return the logarithm of a sum of exponentials as the installed scipy computes it.

    For a record, whose scipy is not known, it is the one that appeared with its scikit-learn.

    Raises:
        UnplannedError: It equals neither of the two known algorithms.
    """
    if is_record(model):
        return log_sum_exp_without_largest if compiler.since(1, 6) else log_sum_exp_of_all
    module: Any = sys.modules["sklearn.naive_bayes"]
    theirs = getattr(module, "_logsumexp", None) or module.logsumexp
    probes = np.random.RandomState(0).normal(size=(300, 5)) * 20
    probes[::3, 1] = probes[::3, 3]
    for ours in (log_sum_exp_without_largest, log_sum_exp_of_all):
        if (ours(probes).ravel() == theirs(probes, axis=1)).all():
            return ours
    raise UnplannedError("scipy computes logsumexp by an unknown algorithm")


def log_sum_exp_without_largest(logarithms: np.ndarray) -> np.ndarray:
    """Compute (n_rows, 1) as scipy 1.15 and later."""
    largest = logarithms.max(axis=1, keepdims=True)
    is_largest = logarithms == largest
    powers = np.exp(logarithms - largest)
    powers[is_largest] = 0
    sums = powers.sum(axis=1, keepdims=True)
    if np.count_nonzero(is_largest) == len(logarithms):
        return np.asarray(np.log1p(sums) + largest)
    ties = is_largest.sum(axis=1, keepdims=True).astype(np.float64)
    return np.asarray(np.log1p(sums / ties) + np.log(ties) + largest)


def log_sum_exp_of_all(logarithms: np.ndarray) -> np.ndarray:
    """Compute (n_rows, 1) as scipy before 1.15."""
    largest = logarithms.max(axis=1, keepdims=True)
    sums = np.exp(logarithms - largest).sum(axis=1, keepdims=True)
    return np.asarray(np.log(sums) + largest)


COMPILERS: Compilers = {
    "BernoulliNB": bernoulli,
    "CategoricalNB": RecordsOnly(categorical),
    "ComplementNB": complement,
    "GaussianNB": gaussian,
    "MultinomialNB": multinomial,
}
