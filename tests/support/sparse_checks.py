"""Plans held against their estimators on sparse rows, as vectorizers make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from plan_checks import SINGLE_ROWS, compare, compile_plan
from scipy import sparse


def check_sparse(model: Any, width: int, planned: Sequence[str]) -> None:
    """As plan_checks.check, for rows that are mostly zeros, one of them wholly."""
    plan = compile_plan(model)
    assert set(planned) <= set(plan.batch)
    for rows in (weights(width), counts(width)):
        for method in planned:
            estimate = getattr(model, method)
            compare(plan.batch[method](rows), estimate(rows), method)
            alone = np.concatenate([estimate(rows[n]) for n in range(SINGLE_ROWS // 2)])
            compare(plan.row_by_row[method](rows)[: len(alone)], alone, method)


def weights(width: int) -> Any:
    rows = sparse.random(500, width, density=0.3, random_state=0).toarray()
    rows[3] = 0
    return sparse.csr_matrix(rows)


def counts(width: int) -> Any:
    rows = weights(width)
    rows.data = np.ceil(rows.data * 4).astype(np.int64)
    return rows
