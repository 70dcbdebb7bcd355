"""Mixtures of normal distributions, and quadratic discriminant analysis."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from .arithmetic import contiguous, finite, product, softmax
from .bayes import log_sum_exp
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .distances import Blas, blas_of
from .distributions import digamma

Function = Callable[[Any], Any]


def mixture(model: Any, compiler: Compiler) -> Part:
    weights = np.log(model.weights_)
    return _mixture(model, compiler, lambda logarithms: logarithms + weights)


def bayesian_mixture(model: Any, compiler: Compiler) -> Part:
    width = model.means_.shape[1]
    degrees, weights = np.asarray(model.degrees_of_freedom_), _log_weights(model)
    shift = -0.5 * width * np.log(degrees)
    halves = 0.5 * (degrees - np.arange(0, width)[:, np.newaxis])
    scale = width * np.log(2.0) + np.sum(digamma(halves), 0)
    correction = 0.5 * (scale - width / model.mean_precision_)
    return _mixture(model, compiler, lambda logarithms: (logarithms + shift) + correction + weights)


def _log_weights(model: Any) -> np.ndarray:
    """Return the expected logarithms of the weights of the components."""
    concentration = model.weight_concentration_
    if model.weight_concentration_prior_type != "dirichlet_process":
        return np.asarray(digamma(concentration) - digamma(np.sum(concentration)))
    one, other = (np.asarray(each) for each in concentration)
    total = digamma(one + other)
    rest = np.cumsum(digamma(other) - total)[:-1]
    return np.asarray(digamma(one) - total + np.hstack((0, rest)))


def _mixture(model: Any, compiler: Compiler, weigh: Function) -> Part:
    densities, total = _log_densities(model, compiler), log_sum_exp(model, compiler)

    def joint(block: Any) -> np.ndarray:
        return np.asarray(weigh(densities(finite(contiguous(block)))))

    def predict_proba(block: Any) -> np.ndarray:
        logarithms = joint(block)
        return np.asarray(np.exp(logarithms - total(logarithms)))

    return {
        "predict": lambda block: np.asarray(joint(block).argmax(axis=1)),
        "predict_proba": predict_proba,
    }


def _log_densities(model: Any, compiler: Compiler) -> Function:
    """Return a function that computes the logarithms of the densities, (n_rows, n_components)."""
    means, roots = np.asarray(model.means_), np.asarray(model.precisions_cholesky_)
    kind, width, dot = model.covariance_type, means.shape[1], product(compiler, 1, 8)
    determinants = {
        "full": lambda: np.log(roots.reshape(len(means), -1)[:, :: width + 1]).sum(axis=1),
        "tied": lambda: np.log(np.diag(roots)).sum(),
        "diag": lambda: np.log(roots).sum(axis=1),
        "spherical": lambda: width * np.log(roots),
    }[kind]()
    constant = width * math.log(2 * math.pi)
    if kind in ("full", "tied"):
        squares = _by_square(kind, means, roots, dot)
    elif kind == "diag":
        squares = _by_variance(means, roots, dot)
    else:
        squares = _by_radius(
            means, roots, blas_of(compiler), is_scaled_first=not compiler.since(1, 8)
        )
    return lambda rows: -0.5 * (constant + squares(rows)) + determinants


def _by_square(kind: str, means: np.ndarray, roots: np.ndarray, dot: Any) -> Function:
    by_component = roots if kind == "full" else [roots] * len(means)
    pairs = [(root, np.dot(mean, root)) for mean, root in zip(means, by_component)]

    def squares(rows: np.ndarray) -> np.ndarray:
        result = np.empty((len(rows), len(pairs)))
        for index, (root, shift) in enumerate(pairs):
            result[:, index] = np.sum(np.square(dot(rows, root) - shift), axis=1)
        return result

    return squares


def _by_variance(means: np.ndarray, roots: np.ndarray, dot: Any) -> Function:
    precisions = roots**2
    first = np.sum(means**2 * precisions, axis=1)
    weighted, across = (means * precisions).T, precisions.T
    return lambda rows: first - 2.0 * dot(rows, weighted) + dot(rows**2, across)


def _by_radius(means: np.ndarray, roots: np.ndarray, blas: Blas, is_scaled_first: bool) -> Function:
    precisions, across = roots**2, means.T
    first, scaled = np.sum(means**2, axis=1) * precisions, means.T * precisions

    def squares(rows: np.ndarray) -> np.ndarray:
        dot = blas.dot
        products = dot(rows, scaled) if is_scaled_first else dot(rows, across) * precisions
        return np.asarray(first - 2 * products + np.outer(blas.squares(rows), precisions))

    return squares


def quadratic_discriminant_analysis(model: Any, compiler: Compiler) -> Part:
    classes, dot = np.asarray(model.classes_), compiler.dot
    if getattr(model, "solver", "svd") != "svd":
        raise UnplannedError("QuadraticDiscriminantAnalysis has another solver than svd")
    parts = [
        (np.asarray(mean), rotation * scaling ** (-0.5))
        for mean, rotation, scaling in zip(model.means_, model.rotations_, model.scalings_)
    ]
    determinants = np.asarray([np.sum(np.log(each)) for each in model.scalings_])
    priors = np.log(model.priors_)

    def joint(block: Any) -> np.ndarray:
        rows = finite(contiguous(block))
        norms = [np.sum(dot(rows - mean, axes) ** 2, axis=1) for mean, axes in parts]
        return np.asarray(-0.5 * (np.array(norms).T + determinants) + priors)

    part = by_logarithms(joint, classes)
    if not compiler.since(*BY_LOGARITHM):
        part["predict_proba"] = lambda block: softmax(joint(block))
    return part


def by_logarithms(joint: Function, classes: np.ndarray) -> Part:
    """Build the part of a classifier whose probabilities are exponentials of logarithms.

    Args:
        joint: The function that computes log likelihoods, (n_rows, n_classes).
        classes: The classes.
    """

    def decide(block: Any) -> np.ndarray:
        scores = joint(block)
        return np.asarray(scores[:, 1] - scores[:, 0]) if len(classes) == 2 else scores

    def predict_proba(block: Any) -> np.ndarray:
        scores = joint(block)
        scores = scores - scores.max(axis=1)[:, np.newaxis]
        return np.asarray(np.exp(scores - np.log(np.exp(scores).sum(axis=1)[:, np.newaxis])))

    return {
        "predict": lambda block: np.asarray(classes.take(joint(block).argmax(axis=1))),
        "predict_proba": predict_proba,
        "decision_function": decide,
    }


BY_LOGARITHM = (1, 6)
"""First version whose probabilities are exponentials of their logarithms."""

COMPILERS: Compilers = {
    "BayesianGaussianMixture": RecordsOnly(bayesian_mixture),
    "GaussianMixture": RecordsOnly(mixture),
    "QuadraticDiscriminantAnalysis": RecordsOnly(quadratic_discriminant_analysis),
}
