"""The planned runtime, accepted only after a trial."""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any, Callable, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError, Rows, count, split_rows
from ...data.frames import narrowed
from ...manifest import Manifest
from .. import trials
from ..estimator import EstimatorRuntime
from ..trials import same
from . import Plan, compile_model
from .compiler import Part, UnplannedError
from .inputs import are_short, require_plain


class PlannedRuntime(EstimatorRuntime):
    """As `runner`, whose model it is, but by `plan`.

    Attributes:
        whole_order: memory order of the matrix that the plan gets of an array of integers: F as
            made of a DataFrame; C, in which numpy casts integers before it multiplies them; None
            if neither has been compared with the estimator.
    """

    kind = "plan"
    merges = True

    def __init__(self, runner: EstimatorRuntime, plan: Plan, manifest: Manifest) -> None:
        self.__dict__.update(runner.__dict__)
        self.whole_order: str | None = None
        self._estimator = runner
        self._plan = plan
        self._layout = manifest.layout
        self._fields = manifest.inputs
        self._nones = [i for i, field in enumerate(manifest.inputs) if field.missing_none]

    def call(self, method: str, rows: Rows) -> Any:
        try:
            return self.together(method, rows)
        except FallbackRequiredError:
            return self._estimator.call(method, rows)

    def together(self, method: str, rows: Rows) -> Any:
        """What the plan gives for rows that came together.

        Raises:
            FallbackRequiredError: it has doubts, and `call` would ask the estimator.
        """
        return self._planned(self._plan.together, method, rows)

    def each(self, method: str, rows: Rows) -> Any:
        """What the plan gives for each of `rows` as if it were asked alone.

        Raises:
            FallbackRequiredError: it has doubts about one.
        """
        return self._planned(self._plan.each, method, rows)

    def _planned(self, part: Part, method: str, rows: Rows) -> Any:
        if method not in part:
            raise FallbackRequiredError
        try:
            return part[method](self.block(rows))
        except FallbackRequiredError:
            raise
        except Exception as error:  # the estimator knows what is wrong with these rows
            raise FallbackRequiredError from error

    def block(self, rows: Rows) -> Any:
        """`rows` as parts of a plan take them: an array of objects as its columns.

        Raises:
            FallbackRequiredError: the values are not numbers, or missing ones must be None, which
                no plan supports.
        """
        if self._nones and any(_has_missing(rows, place) for place in self._nones):
            raise FallbackRequiredError
        if self._layout == "frame":
            return narrowed(rows, self._fields)
        if isinstance(rows, list) and self._layout == "array" and _are_objects(rows):
            return [column.astype(object) for column in rows]
        block = self.arrange(rows)
        if not isinstance(block, np.ndarray) or block.dtype == np.float64:
            return block
        if block.dtype.kind not in "fiu":
            raise FallbackRequiredError
        if block.dtype.kind == "f":
            return block.astype(np.float64)
        if self.whole_order is None:
            raise FallbackRequiredError
        return block.astype(np.float64, order="C" if self.whole_order == "C" else "K")


def _has_missing(rows: Rows, place: int) -> bool:
    column = rows[:, place] if isinstance(rows, np.ndarray) else rows[place]
    return bool((column != column).any())  # NaN  # noqa: PLR0124


def _are_objects(columns: Sequence[np.ndarray]) -> bool:
    """Whether the array that an estimator gets of these columns is one of objects."""
    return any(column.dtype.kind not in "fib" for column in columns)


QUICK_SECONDS = 0.005
"""Which nobody else who is connected notices."""
ALONE = 3
"""Rows of a group that are asked for one by one, too."""
PATIENCE_SECONDS = 1.0
"""For rows that cover categories and limits, after those around the example."""
DOUBTED = 8
"""Rows that are asked for one by one of a group that the plan has doubts about."""


def accept_plan(
    runner: EstimatorRuntime, manifest: Manifest, decode: trials.Decode
) -> PlannedRuntime:
    """The runner by the plan of `runner`'s model, which has proved itself. `decode`: makes rows of
    what JSON has.

    Raises:
        UnplannedError: there is no plan, or it does not give what the estimator gives.
    """
    fields = manifest.inputs
    require_plain(runner.model, fields)
    names = [field.name for field in fields]
    plan = compile_model(runner.model, manifest.layout, names, are_short(fields))
    by_plan = PlannedRuntime(runner, plan, manifest)
    groups = trials.decoded(runner.model, manifest, decode)
    if manifest.layout == "frame":
        groups += [list(np.array(rows.T)) for rows in groups if isinstance(rows, np.ndarray)][1:2]
    methods = [method for method in plan.together if runner.can(method)]
    if not groups or not methods:
        raise UnplannedError("no row is known to try it on, or nothing to ask")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        has_whole = manifest.layout == "array" and any(map(partial(_is_whole, runner), groups))
        if has_whole:
            groups += trials.whole(manifest, decode)
            by_plan.whole_order = "F"
        try:
            _compare_all(plan, runner, by_plan, methods, groups)
        except UnplannedError:
            if not has_whole:
                raise
            by_plan.whole_order = "C"
            _compare_all(plan, runner, by_plan, methods, groups)
        more = list(trials.acceptable(trials.coverage_groups(manifest), decode))
        covered, left = _cover(plan, runner, by_plan, methods, more)
        by_plan.quick_rows = min(_quick_rows(by_plan, method, groups) for method in methods)
    by_plan.told = f"the estimator's bits on {sum(map(count, groups)) + covered} rows"
    if left:
        by_plan.told += f"; {left} more would take longer than {PATIENCE_SECONDS:g} s to try"
    return by_plan


def _is_whole(runner: EstimatorRuntime, rows: Rows) -> bool:
    """Whether the estimator gets an array of integers of several rows."""
    return count(rows) > 1 and runner.arrange(rows).dtype.kind in "iu"


def _cover(
    plan: Plan,
    runner: EstimatorRuntime,
    by_plan: PlannedRuntime,
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
    runner: EstimatorRuntime,
    by_plan: PlannedRuntime,
    methods: Sequence[str],
    groups: Sequence[Rows],
) -> None:
    for method in methods:
        compare(plan, runner, by_plan.block, method, groups)


def _quick_rows(by_plan: PlannedRuntime, method: str, groups: Sequence[Rows]) -> int:
    """How many rows the plan answers in QUICK_SECONDS, by the largest group that it answers."""
    for rows in sorted(groups, key=count, reverse=True):
        try:
            seconds = min(_seconds(by_plan, method, rows) for _ in range(3))
        except FallbackRequiredError:
            continue
        return int(count(rows) * QUICK_SECONDS / seconds)
    return 0


def _seconds(by_plan: PlannedRuntime, method: str, rows: Rows) -> float:
    started = time.perf_counter()
    by_plan.each(method, rows)
    return time.perf_counter() - started


def compare(
    plan: Plan,
    runner: EstimatorRuntime,
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
    plan: Plan, runner: EstimatorRuntime, block: Callable[[Rows], Any], method: str, rows: Rows
) -> int:
    """As `compare`, of one group; return how much of it the plan predicts."""
    alone = split_rows(rows)
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
    plan: Plan, runner: EstimatorRuntime, block: Callable[[Rows], Any], method: str, row: Rows
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
    except FallbackRequiredError:
        return None
    except Exception as error:
        raise UnplannedError(f"its {method} fails: {type(error).__name__}") from error


def _expected(runner: EstimatorRuntime, method: str, rows: Rows) -> Any:
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
