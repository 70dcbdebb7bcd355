"""The table of compilers, and `Plan`.

scikit-learn spends 250 us on one row of a model whose arithmetic takes 3 us: it validates input,
looks up configuration, and starts and ends thread pools. A plan is the arithmetic alone, with the
arrays of the fitted estimator. It returns the same bits as the estimator, or raises
FallbackRequiredError, and then the estimator predicts.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from . import (
    bayes,
    boosters,
    chains,
    clustering,
    encoding,
    ensembles,
    gaussians,
    histograms,
    imputation,
    kernels,
    linear,
    meta,
    neighbors,
    outliers,
    pipelines,
    projections,
    scaling,
    splines,
    svm,
    text,
    trees,
)
from .compiler import Compiler, Compilers, Context, Part, UnplannedError
from .sparse import is_sparse

__all__ = ["Context", "Plan", "UnplannedError", "compile_model"]

FAMILIES = (
    bayes,
    boosters,
    chains,
    clustering,
    encoding,
    ensembles,
    gaussians,
    histograms,
    imputation,
    kernels,
    linear,
    neighbors,
    outliers,
    pipelines,
    projections,
    scaling,
    splines,
    svm,
    text,
    trees,
    meta,
)
"""One file per family of estimators, each with COMPILERS by the names of their classes."""

COMPILERS: Compilers = {
    name: compiler for family in FAMILIES for name, compiler in family.COMPILERS.items()
}


class Plan:
    """The plan of a whole model.

    The results of both parts may differ in the last bits, because BLAS adds up a single row in
    another order than several.

    Attributes:
        batch: Methods whose results equal those of the estimator for all rows in one call.
        row_by_row: Methods whose results equal those of the estimator for each row alone.
    """

    def __init__(self, batch: Part, row_by_row: Part) -> None:
        self.batch = batch
        self.row_by_row = row_by_row


def compile_model(model: Any, context: Context, gives_flags: bool = False) -> Plan:
    """Compile the plan of `model`.

    Args:
        model: The fitted model.
        context: The form of its rows, the names of its inputs, and its release of scikit-learn.
        gives_flags: See `Compiler`, for the inputs.

    Raises:
        UnplannedError: The model cannot have a plan; the text contains the reason.
    """
    by_batch = Compiler(COMPILERS, context, operator.matmul)
    by_batch.gives_flags = gives_flags
    batch = _part(model, by_batch)
    if not by_batch.depends_on_batch:
        return Plan(batch, batch)
    by_row = Compiler(COMPILERS, context, _dot_each, is_row_by_row=True)
    return Plan(batch, _part(model, by_row))


def _part(model: Any, compiler: Compiler) -> Part:
    part = compiler.part(model)
    return pipelines.for_frame(model, part) if compiler.layout == "frame" else part


def _dot_each(rows: Any, matrix: np.ndarray) -> np.ndarray:
    """Multiply `rows` (n_rows, k) by `matrix` (k, m) or (k,), one row at a time.

    numpy then calls the routine of BLAS for a single row. scipy multiplies sparse rows one by one,
    without BLAS.
    """
    if is_sparse(rows):
        return np.asarray(rows @ matrix)
    stacked = np.ascontiguousarray(rows).reshape(len(rows), 1, -1)
    return np.asarray(np.matmul(stacked, matrix)[:, 0])
