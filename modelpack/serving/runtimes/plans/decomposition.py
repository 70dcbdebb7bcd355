"""Projections onto components."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arithmetic import finite, product
from .compiler import Compiler, Compilers, Part


def principal_components(model: Any, compiler: Compiler) -> Part:
    """Rows are projected and then shifted, or until scikit-learn 1.4 the other way round."""
    components, dot = model.components_.T, product(compiler, 1, 5)
    is_first_projected = hasattr(model, "_transform")
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


COMPILERS: Compilers = {"PCA": principal_components, "TruncatedSVD": singular_values}
