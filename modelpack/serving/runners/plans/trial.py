"""A plan beside its estimator, on rows around the model's own example, before it may answer."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any, Callable, Sequence

import numpy as np

from ...columns import DoubtError, Rows, apart, count
from ...manifest import Manifest
from ...trials import coverage, samples
from ...trials.same import same
from ..estimator import EstimatorRunner
from . import Plan, compile_model
from .compiler import Part, UnplannedError
from .inputs import are_short, require_plain
from .runner import PlannedRunner

QUICK_SECONDS = 0.005
"""Which nobody else who is connected notices."""
ALONE = 3
"""Rows of a group that are asked for one by one, too."""
PATIENCE_SECONDS = 1.0
"""For rows that cover categories and limits, after those around the example."""
DOUBTED = 8
"""Rows that are asked for one by one of a group that the plan has doubts about."""


def planned(runner: EstimatorRunner, manifest: Manifest, decode: samples.Decode) -> PlannedRunner:
    """The runner by the plan of `runner`'s model, which has proved itself. `decode`: makes rows of
    what JSON has.

    Raises:
        UnplannedError: there is no plan, or it does not give what the estimator gives.
    """
    fields = manifest.inputs
    require_plain(runner.model, fields)
    names = [field.name for field in fields]
    plan = compile_model(runner.model, manifest.layout, names, are_short(fields))
    by_plan = PlannedRunner(runner, plan, manifest)
    groups = samples.decoded(runner.model, manifest, decode)
    if manifest.layout == "frame":
        groups += [list(np.array(rows.T)) for rows in groups if isinstance(rows, np.ndarray)][1:2]
    methods = [method for method in plan.together if runner.can(method)]
    if not groups or not methods:
        raise UnplannedError("no row is known to try it on, or nothing to ask")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        has_whole = manifest.layout == "array" and any(map(partial(_is_whole, runner), groups))
        if has_whole:
            groups += samples.whole(manifest, decode)
            by_plan.whole_order = "F"
        try:
            _compare_all(plan, runner, by_plan, methods, groups)
        except UnplannedError:
            if not has_whole:
                raise
            by_plan.whole_order = "C"
            _compare_all(plan, runner, by_plan, methods, groups)
        more = list(samples.acceptable(coverage.groups(manifest), decode))
        covered, left = _cover(plan, runner, by_plan, methods, more)
        by_plan.quick_rows = min(_quick_rows(by_plan, method, groups) for method in methods)
    by_plan.told = f"the estimator's bits on {sum(map(count, groups)) + covered} rows"
    if left:
        by_plan.told += f"; {left} more would take longer than {PATIENCE_SECONDS:g} s to try"
    return by_plan


def _is_whole(runner: EstimatorRunner, rows: Rows) -> bool:
    """Whether the estimator gets an array of integers of several rows."""
    return count(rows) > 1 and runner.arrange(rows).dtype.kind in "iu"


def _cover(
    plan: Plan,
    runner: EstimatorRunner,
    by_plan: PlannedRunner,
    methods: Sequence[str],
    groups: Sequence[Rows],
) -> tuple[int, int]:
    """Compare as many of the groups as there is time for; return the numbers of rows compared and
    left.

    Raises:
        UnplannedError: the plan and the estimator differ.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    covered = 0
    for rows in groups:
        if time.monotonic() > deadline:
            break
        for method in methods:
            _compare_group(plan, runner, by_plan.block, method, rows)
        covered += count(rows)
    return covered, sum(map(count, groups)) - covered


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
    if not sum(_compare_group(plan, runner, block, method, rows) for rows in groups):
        raise UnplannedError(f"it has doubts about all rows for {method}")


def _compare_group(
    plan: Plan, runner: EstimatorRunner, block: Callable[[Rows], Any], method: str, rows: Rows
) -> int:
    """As `compare`, of one group; return how much of it the plan predicts."""
    alone = apart(rows)
    together = _given(plan.together, method, block, rows)
    if together is None or len(alone) == 1:
        return sum(_alike(plan, runner, block, method, row) for row in alone[:DOUBTED])
    _hold(together, _expected(runner, method, rows), method)
    each = _given(plan.each, method, block, rows)
    if each is None:
        raise UnplannedError(f"its {method} has doubts about single rows alone")
    chosen = _spread(len(alone))
    singles = [_expected(runner, method, alone[n]) for n in chosen]
    _hold(each[chosen], _joined(singles), f"{method} of single rows")
    return 1


def _spread(size: int) -> list[int]:
    """The numbers of some rows of a group: the first, the last and others between them."""
    return sorted({round(n * (size - 1) / (ALONE - 1)) for n in range(ALONE)})


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
