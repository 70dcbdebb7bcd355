"""PCA, SVD and k-means."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite, product
from .compiler import Compiler, Compilers, Part, UnplannedError
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


ROUNDING = 8 * np.finfo(np.float64).eps
"""Maximum error of a squared distance per added number, relative to the largest of them."""


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

    def predict(block: Any) -> np.ndarray:
        rows = contiguous(block)
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
    "KMeans": k_means,
    "MiniBatchKMeans": k_means,
    "PCA": principal_components,
    "TruncatedSVD": singular_values,
}
