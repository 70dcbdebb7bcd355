"""Projections, and k-means."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite, product
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .distances import blas_of, squares_of
from .libsvm import in_order
from .records import is_record


def principal_components(model: Any, compiler: Compiler) -> Part:
    """Project rows, then shift them; until scikit-learn 1.4 in the opposite order."""
    components, dot = model.components_.T, product(compiler, 1, 5)
    is_first_projected = compiler.since(1, 5)
    before = None if is_first_projected else model.mean_
    after = np.reshape(model.mean_, (1, -1)) @ components if is_first_projected else None
    scale = np.sqrt(model.explained_variance_) if model.whiten else None
    if scale is not None and is_first_projected:
        scale = np.maximum(scale, np.finfo(scale.dtype).eps)

    def transform(block: Any) -> np.ndarray:
        projected = finite(dot(block if before is None else block - before, components))
        if after is not None:
            projected -= after
        if scale is not None:
            projected /= scale
        return projected

    return {"transform": transform}


def singular_values(model: Any, compiler: Compiler) -> Part:
    components, dot = model.components_.T, product(compiler, 0, 22)
    return {"transform": lambda block: finite(dot(block, components))}


def factor_analysis(model: Any, compiler: Compiler) -> Part:
    loadings, dot = model.components_ / model.noise_variance_, compiler.dot
    covariance = np.linalg.inv(
        np.eye(len(loadings)) + np.dot(loadings, np.asarray(model.components_).T)
    )
    mean, across = model.mean_, loadings.T
    return {"transform": lambda block: finite(dot(dot(block - mean, across), covariance))}


def independent_components(model: Any, compiler: Compiler) -> Part:
    components, dot = np.asarray(model.components_).T, compiler.dot
    mean = model.mean_ if model.whiten else None
    return {
        "transform": lambda block: finite(dot(block if mean is None else block - mean, components))
    }


def neighborhood_components(model: Any, compiler: Compiler) -> Part:
    components, dot = np.asarray(model.components_).T, compiler.dot
    return {"transform": lambda block: finite(dot(block, components))}


def random_projection(model: Any, compiler: Compiler) -> Part:
    """Multiply by random numbers, which may be sparse: these are added up one by one."""
    if isinstance(model.components_, np.ndarray):
        return neighborhood_components(model, compiler)
    sparse = model.components_
    ends = np.asarray(sparse.indptr)
    rows = [
        (np.asarray(sparse.indices)[start:end], np.asarray(sparse.data)[start:end])
        for start, end in zip(ends[:-1], ends[1:])
    ]
    if not model.dense_output and compiler.layout != "array":
        raise UnplannedError("SparseRandomProjection gets sparse rows")

    def transform(block: Any) -> np.ndarray:
        values = contiguous(block)
        return finite(np.column_stack([in_order(values[:, at] * data) for at, data in rows]))

    return {"transform": transform}


def partial_least_squares(model: Any, compiler: Compiler) -> Part:
    """Project and predict. The coefficients contain the scale of the inputs since 1.5."""
    mean, scale = _fitted(model, "x_mean"), _fitted(model, "x_std")
    rotations, dot = np.asarray(model.x_rotations_), compiler.dot
    # Two releases keep the coefficients of later ones under this name.
    coefficients = np.asarray(model._coef_ if hasattr(model, "_coef_") else model.coef_)
    if compiler.since(1, 1):
        coefficients, shift = coefficients.T, model.intercept_
    else:
        shift = _fitted(model, "y_mean")
    is_scaled = not compiler.since(1, 5)
    is_flat = getattr(model, "_predict_1d", False)  # since 1.3

    def predict(block: Any) -> np.ndarray:
        centred = block - mean
        values = finite(dot(centred / scale if is_scaled else centred, coefficients) + shift)
        return np.asarray(values.ravel() if is_flat else values)

    return {
        "transform": lambda block: finite(dot((block - mean) / scale, rotations)),
        "predict": predict,
    }


def _fitted(model: Any, name: str) -> Any:
    """Return a fitted attribute, which had a public name until 0.23."""
    return getattr(model, f"_{name}") if hasattr(model, f"_{name}") else getattr(model, f"{name}_")


ROUNDING = 8 * np.finfo(np.float64).eps
"""Maximum error of a squared distance per added number, relative to the largest of them."""


WITHOUT_ROWS = (0, 23)
"""First version that leaves out the lengths of the rows where it compares distances."""


def k_means(model: Any, compiler: Compiler) -> Part:
    """Find the nearest centre.

    The estimator computes distances in blocks and threads, so their last bits are unknown. If these
    decide which centre is the nearest, the estimator predicts; the plan of a record returns either.
    """
    centres = model.cluster_centers_
    if centres.dtype != np.float64:
        raise UnplannedError("the cluster centres are not float64")
    dot, across = product(compiler, 0, 22), centres.T
    is_ordered = compiler.row_by_row or compiler.since(0, 23)  # into C order
    squares = np.einsum("ij,ij->i", centres, centres)
    reach, margin = np.sqrt(squares.max()), ROUNDING * (centres.shape[1] + 4)

    is_whole = is_record(model) and not compiler.since(*WITHOUT_ROWS)
    whole = squares_of(centres, blas_of(compiler))

    def predict(block: Any) -> np.ndarray:
        rows = contiguous(block)
        if is_whole:
            return np.asarray(finite(whole(rows)).argmin(axis=1).astype(np.int32))
        distances = finite(squares - 2 * np.matmul(rows, across))
        nearest = distances.argmin(axis=1)
        if len(squares) > 1 and not is_record(model):
            two = np.partition(distances, 1, axis=1)
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) + reach
            if not (two[:, 1] - two[:, 0] > margin * lengths * lengths).all():
                raise FallbackRequiredError
        return np.asarray(nearest.astype(np.int32))

    def transform(block: Any) -> np.ndarray:
        rows = contiguous(block)
        if not (is_ordered or rows is block or is_record(model)):
            raise FallbackRequiredError
        distances = -2 * dot(rows, across)
        distances += np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
        distances += squares
        finite(distances)
        np.maximum(distances, 0, out=distances)
        return np.asarray(np.sqrt(distances, out=distances))

    return {"predict": predict, "transform": transform}


COMPILERS: Compilers = {
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression"), RecordsOnly(partial_least_squares)),
    "FactorAnalysis": RecordsOnly(factor_analysis),
    "FastICA": RecordsOnly(independent_components),
    "GaussianRandomProjection": RecordsOnly(random_projection),
    "IncrementalPCA": RecordsOnly(principal_components),
    "KMeans": k_means,
    "MiniBatchKMeans": k_means,
    "NeighborhoodComponentsAnalysis": RecordsOnly(neighborhood_components),
    "PCA": principal_components,
    "SparseRandomProjection": RecordsOnly(random_projection),
    "TruncatedSVD": singular_values,
}
