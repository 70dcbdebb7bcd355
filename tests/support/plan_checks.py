"""Comparisons of compiled plans with the estimators they were compiled from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.plans import Context, Plan, compile_model
from modelpack.serving.runtimes.plans.runtime import installed_release
from modelpack.serving.runtimes.trials import is_same

METHODS = ("predict", "predict_proba", "decision_function", "transform")
SINGLE_ROWS = 40


def compile_plan(model: Any, names: Sequence[str] = (), layout: str = "array") -> Plan:
    return compile_model(model, Context(layout, names, installed_release()))


def check(
    model: Any, rows: np.ndarray, planned: Sequence[str], single_rows: int = SINGLE_ROWS
) -> None:
    """Check that the plan of `model` has the methods `planned` and the bits of the estimator.

    Args:
        rows: float64 (n_rows, n_inputs), compared in one batch.
        single_rows: How many of them are also compared one by one.
    """
    plan = compile_plan(model)
    assert set(planned) <= set(plan.batch) <= set(METHODS)
    for method in plan.batch:
        if not hasattr(model, method):
            continue
        estimate = getattr(model, method)
        compare(plan.batch[method](rows), estimate(rows), method)
        singly = np.concatenate([estimate(row.reshape(1, -1)) for row in rows[:single_rows]])
        compare(plan.row_by_row[method](rows)[:single_rows], singly, method)
        compare(plan.row_by_row[method](rows[:1]), singly[:1], method)


def compare(got: Any, expected: Any, method: str) -> None:
    assert is_same(got, expected), f"{method}: {_difference(got, expected)}"


def falls_back(function: Callable[[Any], Any], block: Any) -> bool:
    """Return whether a part of a plan leaves `block` to the estimator."""
    try:
        function(block)
    except FallbackRequiredError:
        return True
    return False


def _difference(got: Any, expected: Any) -> str:
    if getattr(got, "shape", None) != expected.shape or got.dtype != expected.dtype:
        return f"{got!r} is not {expected!r}"
    wrong = np.flatnonzero(np.atleast_1d(got != expected).reshape(len(got), -1).any(axis=1))[:3]
    return f"rows {wrong}: {got[wrong]} is not {expected[wrong]}"


def random_rows(width: int, count: int = 3000, seed: int = 0) -> np.ndarray:
    """Return rows around zero and of many orders of magnitude, with zeros of either sign."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, width)) * 3
    wide = generator.random((count, width)) < 0.1
    rows[wide] *= 10.0 ** generator.integers(-12, 12, wide.sum())
    rows[generator.random((count, width)) < 0.02] = 0.0
    rows[generator.random((count, width)) < 0.02] = -0.0
    return rows


def check_sparse(model: Any, width: int, planned: Sequence[str]) -> None:
    """Check a plan on sparse rows, one of which is all zeros."""
    plan = compile_plan(model)
    assert set(planned) <= set(plan.batch)
    for rows in (weights(width), counts(width)):
        for method in planned:
            estimate = getattr(model, method)
            compare(plan.batch[method](rows), estimate(rows), method)
            single_rows = np.concatenate([estimate(rows[n]) for n in range(SINGLE_ROWS // 2)])
            compare(plan.row_by_row[method](rows)[: len(single_rows)], single_rows, method)


def weights(width: int) -> Any:
    rows = sparse.random(500, width, density=0.3, random_state=0).toarray()
    rows[3] = 0
    return sparse.csr_matrix(rows)


def counts(width: int) -> Any:
    rows = weights(width)
    rows.data = np.ceil(rows.data * 4).astype(np.int64)
    return rows
