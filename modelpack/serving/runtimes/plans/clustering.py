"""Clusters around centres."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import contiguous, finite, product, since
from .compiler import Compiler, Compilers, Part, UnplannedError

ROUNDING = 8 * np.finfo(np.float64).eps
"""By how much a squared distance may be off, for each number that is added up, relative to the
largest of them."""


def k_means(model: Any, compiler: Compiler) -> Part:
    """The estimator computes distances in blocks and threads of its own, so that their last bits
    cannot be told: where these decide which centre is the nearest, there is a doubt.
    """
    centres = model.cluster_centers_
    if centres.dtype != np.float64:
        raise UnplannedError("its centres are not float64")
    dot, across = product(compiler, 0, 22), centres.T
    is_turned = compiler.row_by_row or since(0, 23)  # into C order
    squares = np.einsum("ij,ij->i", centres, centres)
    reach, margin = np.sqrt(squares.max()), ROUNDING * (centres.shape[1] + 4)

    def predict(block: Any) -> np.ndarray:
        rows = contiguous(block)
        distances = finite(squares - 2 * np.matmul(rows, across))
        nearest = distances.argmin(axis=1)
        if len(squares) > 1:
            two = np.partition(distances, 1, axis=1)
            lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows)) + reach
            if not (two[:, 1] - two[:, 0] > margin * lengths * lengths).all():
                raise FallbackRequiredError
        return np.asarray(nearest.astype(np.int32))

    def transform(block: Any) -> np.ndarray:
        rows = contiguous(block)
        if not (is_turned or rows is block):
            raise FallbackRequiredError
        distances = -2 * dot(rows, across)
        distances += np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
        distances += squares
        finite(distances)
        np.maximum(distances, 0, out=distances)
        return np.asarray(np.sqrt(distances, out=distances))

    return {"predict": predict, "transform": transform}


COMPILERS: Compilers = {"KMeans": k_means, "MiniBatchKMeans": k_means}
