"""Scalers: each column shifted and stretched."""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler import Compiler, Compilers, Part


def standard_scaler(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    mean = model.mean_ if model.with_mean else None
    scale = model.scale_ if model.with_std else None

    def transform(block: np.ndarray) -> np.ndarray:
        if mean is not None:
            block = block - mean
        return block if scale is None else block / scale

    return {"transform": transform}


COMPILERS: Compilers = {"StandardScaler": standard_scaler}
