"""A plan beside its estimator, on rows around the model's own example, before it may answer."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Sequence

import numpy as np

from ...columns import DoubtError, Rows, apart, count
from ...manifest import Manifest
from ...trials import samples
from ...trials.same import same
from ..estimator import EstimatorRunner
from . import Plan, compile_model
from .compiler import Part, UnplannedError
from .runner import PlannedRunner

QUICK_SECONDS = 0.005
"""Which nobody else who is connected notices."""
ALONE = 4
"""Rows of a group that are asked for one by one, too."""


def planned(runner: EstimatorRunner, manifest: Manifest, decode: samples.Decode) -> PlannedRunner:
    """The runner by the plan of `runner`'s model, which has proved itself. `decode`: makes rows of
    what JSON has.

    Raises:
        UnplannedError: there is no plan, or it does not give what the estimator gives.
    """
    plan = compile_model(runner.model, manifest.layout, [field.name for field in manifest.inputs])
    by_plan = PlannedRunner(runner, plan, manifest.layout)
    groups = samples.decoded(runner.model, manifest, decode)
    if not groups:
        raise UnplannedError("no row is known to try it on")
    methods = [method for method in plan.together if runner.can(method)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for method in methods:
            compare(plan, runner, by_plan.block, method, groups)
        by_plan.quick_rows = min(_quick_rows(by_plan, method, groups) for method in methods)
    by_plan.told = f"the estimator's bits on {sum(map(count, groups))} rows"
    return by_plan


def _quick_rows(by_plan: PlannedRunner, method: str, groups: Sequence[Rows]) -> int:
    """How many rows the plan answers in QUICK_SECONDS, by the largest group that it answers."""
    for rows in sorted(groups, key=count, reverse=True):
        try:
            seconds = min(_seconds(by_plan, method, rows) for _ in range(3))
        except DoubtError:
            continue
        return int(count(rows) * QUICK_SECONDS / seconds)
    return 0


def _seconds(by_plan: PlannedRunner, method: str, rows: Rows) -> float:
    started = time.perf_counter()
    by_plan.each(method, rows)
    return time.perf_counter() - started


def compare(
    plan: Plan,
    runner: EstimatorRunner,
    block: Callable[[Rows], Any],
    method: str,
    groups: Sequence[Rows],
) -> None:
    """Hold `method` of the plan against the estimator's, for each group at once and row by row; for
    the single rows of a group, where the plan has doubts about some.

    Raises:
        UnplannedError: they differ in one bit, the plan answers what the estimator refuses, or it
            has doubts about every row.
    """
    proved = 0
    for group in groups:
        some = [group]
        if _given(plan.together, method, block, group) is None:
            some = apart(group)
        for rows in some:
            together = _given(plan.together, method, block, rows)
            if together is not None:
                _hold(together, _expected(runner, method, rows), method)
                each = _given(plan.each, method, block, rows)
                alone = [_expected(runner, method, row) for row in apart(rows)[:ALONE]]
                if each is None:
                    raise UnplannedError(f"its {method} has doubts about single rows")
                _hold(each[: len(alone)], _joined(alone), f"{method} of single rows")
                proved += 1
    if not proved:
        raise UnplannedError(f"it has doubts about all rows for {method}")


def _given(part: Part, method: str, block: Callable[[Rows], Any], rows: Rows) -> Any:
    """What the plan gives; None where it has doubts."""
    try:
        return part[method](block(rows))
    except DoubtError:
        return None
    except Exception as error:
        raise UnplannedError(f"its {method} fails: {type(error).__name__}") from error


def _expected(runner: EstimatorRunner, method: str, rows: Rows) -> Any:
    try:
        return runner.call(method, rows)
    except Exception as error:
        raise UnplannedError(f"its {method} answers what the estimator refuses") from error


def _joined(alone: Sequence[Any]) -> Any:
    """The answers to single rows as one."""
    if isinstance(alone[0], np.ndarray):
        return np.concatenate(alone)
    if hasattr(alone[0], "indptr"):
        from scipy import sparse  # type: ignore[import-untyped]  # noqa: PLC0415 - seldom

        return sparse.vstack(alone, "csr")
    raise UnplannedError("it answers with something else than arrays")


def _hold(got: Any, expected: Any, what: str) -> None:
    if not same(got, expected):
        raise UnplannedError(f"its {what} differs from the estimator's")
