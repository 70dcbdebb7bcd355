"""Comparisons of the plans of records with the estimators that the records were made from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from plan_checks import compare, compile_plan, random_rows
from plan_records import to_record

from modelpack.serving.runtimes.plans import Plan

SINGLE_ROWS = 20
COUNT = 2000


def record_plan(model: Any, names: Sequence[str] = (), layout: str = "array") -> Plan:
    return compile_plan(to_record(model), names, layout)


def check_record(
    model: Any, rows: Any = None, planned: Sequence[str] = ("predict",), ulps: int = 0
) -> None:
    """Check that the plan of the record of `model` computes as the estimator.

    Args:
        rows: What the estimator gets; None for random rows of its width. Arrays are also tried with
            their columns one after the other.
        planned: Methods that the plan has.
        ulps: The largest allowed difference of floats.
    """
    rows = random_rows(model.n_features_in_, COUNT) if rows is None else rows
    plan, is_array = record_plan(model), isinstance(rows, np.ndarray)
    assert set(planned) <= set(plan.batch)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for method in plan.batch:
            if not hasattr(model, method):
                continue
            estimate = getattr(model, method)
            for each in (rows, np.asfortranarray(rows)) if is_array else (rows,):
                same(plan.batch[method](each), estimate(each), method, ulps)
            for n in range(SINGLE_ROWS):
                row = rows[n : n + 1].copy(order="C") if is_array else rows[n : n + 1]
                same(plan.row_by_row[method](row), estimate(row), method, ulps)


def same(got: Any, expected: Any, method: str, ulps: int = 0) -> None:
    got, expected = as_array(got), as_array(expected)
    if not ulps or got.dtype.kind != "f":
        compare(got, expected, method)
        return
    assert got.shape == expected.shape
    worst = largest_difference(got, expected)
    assert worst <= ulps, f"{method} differs by {worst} ulp"


def as_array(values: Any) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


def largest_difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference in ulp of the expected numbers."""
    equal = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distances = np.abs(got - expected) / np.spacing(np.abs(expected))
    return float(np.max(np.where(equal, 0, distances), initial=0))
