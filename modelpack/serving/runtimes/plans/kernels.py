"""Kernel methods, and random features."""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from .arithmetic import contiguous, expit_of, finite
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .distances import Metric, blas_of, squares_of, unit_rows

Function = Callable[[Any], Any]


def kernel_ridge(model: Any, compiler: Compiler) -> Part:
    settings = {"gamma": model.gamma, "degree": model.degree, "coef0": model.coef0}
    kernel = kernel_of(model.kernel, settings, model.X_fit_, compiler)
    weights, dot = np.asarray(model.dual_coef_), compiler.dot
    return {"predict": lambda block: dot(kernel(finite(contiguous(block))), weights)}


def nystroem(model: Any, compiler: Compiler) -> Part:
    given = {name: getattr(model, name) for name in ("gamma", "degree", "coef0")}
    settings = {name: value for name, value in given.items() if value is not None}
    settings = {**(model.kernel_params or {}), **settings}
    kernel = kernel_of(model.kernel, settings, model.components_, compiler)
    weights, dot = np.asarray(model.normalization_).T, compiler.dot
    return {"transform": lambda block: dot(kernel(finite(contiguous(block))), weights)}


def kernel_of(name: Any, settings: Mapping[str, Any], others: Any, compiler: Compiler) -> Function:
    """Return a kernel: a function of rows, (n_rows, n_others).

    Raises:
        UnplannedError: The kernel is another one, or the rows of the training are sparse.
    """
    if not isinstance(others, np.ndarray) or others.dtype.kind not in "fiu":
        raise UnplannedError("the rows of the training are not an array")
    others, blas = others.astype(np.float64), blas_of(compiler)
    dot = blas.dot
    gamma, degree = settings.get("gamma"), settings.get("degree", 3)
    gamma, shift = 1.0 / others.shape[1] if gamma is None else gamma, settings.get("coef0", 1)
    across = others.T
    if name in ("rbf", "laplacian"):
        distances = squares_of(others, blas) if name == "rbf" else _manhattan(others)
        return lambda rows: np.exp(distances(rows) * -gamma)
    if name == "cosine":
        units = unit_rows(others, blas).T
        return lambda rows: dot(unit_rows(rows, blas), units)
    kernels: dict[str, Function] = {
        "linear": lambda rows: dot(rows, across),
        "poly": lambda rows: (dot(rows, across) * gamma + shift) ** degree,
        "polynomial": lambda rows: (dot(rows, across) * gamma + shift) ** degree,
        "sigmoid": lambda rows: np.tanh(dot(rows, across) * gamma + shift),
    }
    if not isinstance(name, str) or name not in kernels:
        raise UnplannedError(f"the kernel {name} has no plan")
    return kernels[name]


def _manhattan(others: np.ndarray) -> Function:
    return Metric("manhattan", {}).powers(others)


def random_waves(model: Any, compiler: Compiler) -> Part:
    """Transform as RBFSampler: by cosines of random projections."""
    weights, shift, dot = model.random_weights_, model.random_offset_, compiler.dot
    count = model.n_components
    is_ratio = compiler.since(*BY_RATIO)
    scale = (2.0 / count) ** 0.5 if is_ratio else np.sqrt(2.0) / np.sqrt(count)

    def transform(block: Any) -> np.ndarray:
        angles = finite(dot(finite(contiguous(block)), weights))
        angles += shift
        np.cos(angles, angles)
        angles *= scale
        return angles

    return {"transform": transform}


BY_RATIO = (1, 2)
"""First version that computes the amplitude of the waves as the root of a ratio."""


def boltzmann_machine(model: Any, compiler: Compiler) -> Part:
    weights, shift, dot = model.components_.T, model.intercept_hidden_, compiler.dot
    logistic = expit_of(model)

    def transform(block: Any) -> np.ndarray:
        return np.asarray(logistic(finite(dot(finite(contiguous(block)), weights) + shift)))

    return {"transform": transform}


COMPILERS: Compilers = {
    "BernoulliRBM": RecordsOnly(boltzmann_machine),
    "KernelRidge": RecordsOnly(kernel_ridge),
    "Nystroem": RecordsOnly(nystroem),
    "RBFSampler": RecordsOnly(random_waves),
}
