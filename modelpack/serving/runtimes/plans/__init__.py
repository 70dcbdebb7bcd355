"""The table of compilers, and `Plan`.

scikit-learn spends 250 us on one row of a model whose arithmetic takes 3: it validates its input,
looks up configuration, starts and ends thread pools. A plan is the arithmetic alone, of arrays that
were taken out of the estimator once. It gives the very bits that the estimator gives, or raises
FallbackRequiredError, and then the estimator is asked.
"""

from __future__ import annotations

import operator
from typing import Any, Sequence

import numpy as np
from scipy.sparse import issparse  # type: ignore[import-untyped]

from . import (
    adaboost,
    bayes,
    boosting,
    clustering,
    decomposition,
    encoding,
    forests,
    histograms,
    imputing,
    isolation,
    linear,
    meta,
    neural,
    pipelines,
    scaling,
    svm,
    text,
    trees,
)
from .compiler import Compiler, Compilers, Part, UnplannedError

__all__ = ["Plan", "UnplannedError", "compile_model"]

FAMILIES = (
    adaboost,
    bayes,
    boosting,
    clustering,
    pipelines,
    decomposition,
    encoding,
    forests,
    histograms,
    imputing,
    isolation,
    linear,
    neural,
    scaling,
    svm,
    text,
    trees,
    meta,
)
"""One file a family of estimators; each has COMPILERS, by the names of classes of scikit-learn."""

COMPILERS: Compilers = {
    name: made for family in FAMILIES for name, made in family.COMPILERS.items()
}


class Plan:
    """Of a whole model. `together`: what its methods give for rows that came together; `each`: for
    each row as if it had come alone. The two may differ in the last bits, as BLAS adds up one row
    in another order than many.
    """

    def __init__(self, together: Part, each: Part) -> None:
        self.together = together
        self.each = each


def compile_model(model: Any, layout: str, names: Sequence[str], gives_flags: bool = False) -> Plan:
    """The plan of `model`. `layout`: the form in which it takes rows, as in the manifest. `names`:
    of its inputs. `gives_flags`: as of the compiler, of these inputs.

    Raises:
        UnplannedError: there is none, and why.
    """
    at_once = Compiler(COMPILERS, layout, names, dot=operator.matmul)
    at_once.gives_flags = gives_flags
    together = _part(model, at_once)
    if not at_once.is_dotted:
        return Plan(together, together)
    apart = Compiler(COMPILERS, layout, names, dot=_dot_each, is_apart=True)
    return Plan(together, _part(model, apart))


def _part(model: Any, compiler: Compiler) -> Part:
    part = compiler.part(model)
    return pipelines.of_frame(model, part) if compiler.layout == "frame" else part


def _dot_each(rows: Any, matrix: np.ndarray) -> np.ndarray:
    """`rows` (n_rows, k) times `matrix` (k, m) or (k,), one row at a time: numpy calls for each of
    them the routine of BLAS that it calls for a single row. scipy multiplies sparse rows without
    BLAS, one by one.
    """
    if issparse(rows):
        return np.asarray(rows @ matrix)
    stacked = np.ascontiguousarray(rows).reshape(len(rows), 1, -1)
    return np.asarray(np.matmul(stacked, matrix)[:, 0])
