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
ALONE = 3
"""Rows of a group that are asked for one by one, too."""
DOUBTED = 8
"""Rows that are asked for one by one of a group that the plan has doubts about."""


def planned(runner: EstimatorRunner, manifest: Manifest, decode: samples.Decode) -> PlannedRunner:
    """The runner by the plan of `runner`'s model, which has proved itself. `decode`: makes rows of
    what JSON has.

    Raises:
        UnplannedError: there is no plan, or it does not give what the estimator gives.
    """
    plan = compile_model(runner.model, manifest.layout, [field.name for field in manifest.inputs])
    by_plan = PlannedRunner(runner, plan, manifest)
    groups = samples.decoded(runner.model, manifest, decode)
    if manifest.layout == "frame":
        groups += [list(np.array(rows.T)) for rows in groups if isinstance(rows, np.ndarray)][1:2]
    methods = [method for method in plan.together if runner.can(method)]
    if not groups or not methods:
        raise UnplannedError("no row is known to try it on, or nothing to ask")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            _compare_all(plan, runner, by_plan, methods, groups)
        except UnplannedError:
            if manifest.layout != "array" or runner.arrange(groups[0]).dtype.kind not in "iu":
                raise
            by_plan.order = "C"
            _compare_all(plan, runner, by_plan, methods, groups)
        by_plan.quick_rows = min(_quick_rows(by_plan, method, groups) for method in methods)
    by_plan.told = f"the estimator's bits on {sum(map(count, groups))} rows"
    return by_plan


def _compare_all(
    plan: Plan,
    runner: EstimatorRunner,
    by_plan: PlannedRunner,
    methods: Sequence[str],
    groups: Sequence[Rows],
) -> None:
    for method in methods:
        compare(plan, runner, by_plan.block, method, groups)


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
    """Hold `method` of the plan against the estimator's, for each group at once and row by row; of
    a group that the plan has doubts about, single rows.

    Raises:
        UnplannedError: they differ in one bit, the plan answers what the estimator refuses, or it
            has doubts about every row.
    """
    proved = 0
    for rows in groups:
        alone = apart(rows)
        together = _given(plan.together, method, block, rows)
        if together is not None and len(alone) > 1:
            _hold(together, _expected(runner, method, rows), method)
            each = _given(plan.each, method, block, rows)
            singles = [_expected(runner, method, row) for row in alone[:ALONE]]
            if each is None:
                raise UnplannedError(f"its {method} has doubts about single rows alone")
            _hold(each[: len(singles)], _joined(singles), f"{method} of single rows")
            proved += 1
        else:
            proved += sum(_alike(plan, runner, block, method, row) for row in alone[:DOUBTED])
    if not proved:
        raise UnplannedError(f"it has doubts about all rows for {method}")


def _alike(
    plan: Plan, runner: EstimatorRunner, block: Callable[[Rows], Any], method: str, row: Rows
) -> bool:
    """Whether the plan answers a single row, as the estimator does."""
    given = [_given(part, method, block, row) for part in (plan.together, plan.each)]
    if any(each is None for each in given):
        return False
    expected = _expected(runner, method, row)
    for each in given:
        _hold(each, expected, f"{method} of a single row")
    return True


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
