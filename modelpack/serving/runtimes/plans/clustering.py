"""Clusters without a search for the last bits, and other models with centres."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from .arithmetic import contiguous, finite
from .compiler import Compiler, Compilers, Part, RecordsOnly
from .distances import blas_of, squares_of

Function = Callable[[Any], Any]


def nearest_centre(centres: Any, compiler: Compiler) -> Function:
    """Return a function that finds the nearest centre, the first of several, (n_rows,)."""
    powers = squares_of(np.asarray(centres, np.float64), blas_of(compiler))
    return lambda block: powers(finite(contiguous(block))).argmin(axis=1)


def centres(model: Any, compiler: Compiler) -> Part:
    return {"predict": nearest_centre(model.cluster_centers_, compiler)}


WITH_ROWS = (0, 23)
"""First version whose Birch includes the lengths of the rows where it compares distances."""


def birch(model: Any, compiler: Compiler) -> Part:
    centres, labels = np.asarray(model.subcluster_centers_, np.float64), model.subcluster_labels_
    blas, across = blas_of(compiler), centres.T
    squares, lengths = squares_of(centres, blas), blas.squares(centres)

    def without_rows(rows: np.ndarray) -> np.ndarray:
        return np.asarray(blas.dot(rows, across) * -2 + lengths)

    compared = squares if compiler.since(*WITH_ROWS) else without_rows
    return {
        "predict": lambda block: np.asarray(
            labels[compared(finite(contiguous(block))).argmin(axis=1)]
        ),
        "transform": lambda block: np.sqrt(squares(finite(contiguous(block)))),
    }


def bisecting(model: Any, compiler: Compiler) -> Part:
    """Choose between two halves of the clusters, until one is left."""
    mean = getattr(model, "_X_mean", 0.0)
    label_of = _halves(model._bisecting_tree, mean, compiler)
    squares = squares_of(np.asarray(model.cluster_centers_, np.float64), blas_of(compiler))
    return {
        "predict": lambda block: label_of(finite(contiguous(block))),
        "transform": lambda block: np.sqrt(squares(finite(contiguous(block)))),
    }


def _halves(node: Any, mean: Any, compiler: Compiler) -> Function:
    if node.left is None:
        label = int(node.label)
        return lambda rows: np.full(len(rows), label, np.int32)
    pair = np.vstack((node.left.center, node.right.center)) + mean
    first, other = (_halves(each, mean, compiler) for each in (node.left, node.right))
    across, squares, dot = pair.T, np.einsum("ij,ij->i", pair, pair), compiler.dot

    def label_of(rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.empty(0, np.int32)
        is_first = (squares - 2 * dot(rows, across)).argmin(axis=1) == 0
        labels = np.empty(len(rows), np.int32)
        labels[is_first], labels[~is_first] = first(rows[is_first]), other(rows[~is_first])
        return labels

    return label_of


COMPILERS: Compilers = {
    "AffinityPropagation": RecordsOnly(centres),
    "Birch": RecordsOnly(birch),
    "BisectingKMeans": RecordsOnly(bisecting),
    "MeanShift": RecordsOnly(centres),
}
