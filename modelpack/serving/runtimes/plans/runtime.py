"""The runtime of a plan, and the trial that a plan must pass."""

from __future__ import annotations

import sys
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
from ..trials import is_same
from . import Context, Plan, compile_model
from .compiler import Part, UnplannedError
from .inputs import has_short_integers, require_supported_columns
from .sparse import is_sparse, vertically_stacked


class PlannedRuntime(EstimatorRuntime):
    """Predicts with `plan`, and with `runtime` the rows that the plan does not cover.

    Attributes:
        integer_order: Memory order of the matrix that the plan gets for an array of integers: F as
            from a DataFrame; C, in which numpy casts integers before it multiplies them; None if
            neither was compared with the estimator.
    """

    kind = "plan"
    can_batch = True

    def __init__(self, runtime: EstimatorRuntime, plan: Plan, manifest: Manifest) -> None:
        self.__dict__.update(runtime.__dict__)
        self.integer_order: str | None = None
        self._estimator = runtime
        self._plan = plan
        self._layout = manifest.layout
        self._fields = manifest.inputs
        self._nones = [i for i, field in enumerate(manifest.inputs) if field.missing_none]

    def call(self, method: str, rows: Rows) -> Any:
        try:
            return self.call_batch(method, rows)
        except FallbackRequiredError:
            return self._estimator.call(method, rows)

    def call_batch(self, method: str, rows: Rows) -> Any:
        """Predict rows in one batch with the plan.

        Raises:
            FallbackRequiredError: The plan does not cover these rows.
        """
        return self._planned(self._plan.batch, method, rows)

    def call_each(self, method: str, rows: Rows) -> Any:
        """Predict each row with the plan as if it were the only one.

        Raises:
            FallbackRequiredError: The plan does not cover one of the rows.
        """
        return self._planned(self._plan.row_by_row, method, rows)

    def _planned(self, part: Part, method: str, rows: Rows) -> Any:
        if method not in part:
            raise FallbackRequiredError
        try:
            return part[method](self.block(rows))
        except FallbackRequiredError:
            raise
        except Exception as error:  # the estimator raises the right error for these rows
            raise FallbackRequiredError from error

    def block(self, rows: Rows) -> Any:
        """Convert rows to the input of a plan: an array of objects becomes a list of columns.

        Raises:
            FallbackRequiredError: The values are not numbers, or missing ones must be None, which
                no plan supports.
        """
        if self._nones and any(_has_missing(rows, index) for index in self._nones):
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
        if self.integer_order is None:
            raise FallbackRequiredError
        return block.astype(np.float64, order="C" if self.integer_order == "C" else "K")


def _has_missing(rows: Rows, index: int) -> bool:
    column = rows[:, index] if isinstance(rows, np.ndarray) else rows[index]
    return bool((column != column).any())  # NaN  # noqa: PLR0124


def _are_objects(columns: Sequence[np.ndarray]) -> bool:
    """Return whether an estimator gets these columns as an array of objects."""
    return any(column.dtype.kind not in "fib" for column in columns)


QUICK_SECONDS = 0.005
"""A delay that other clients do not notice."""
SINGLE_ROWS = 3
"""Rows of a group that are also predicted one by one."""
PATIENCE_SECONDS = 1.0
"""Time for rows that cover categories and limits, after those around the example."""
UNCOVERED_ROWS = 8
"""Rows that are predicted one by one of a group that the plan does not cover."""


def accept_plan(
    runtime: EstimatorRuntime, manifest: Manifest, decode: trials.Decode
) -> PlannedRuntime:
    """Compile the plan of a model, and compare it with the estimator on trial rows.

    `decode` converts rows from JSON.

    Raises:
        UnplannedError: The model cannot have a plan, or a result differs from the estimator's.
    """
    fields = manifest.inputs
    require_supported_columns(runtime.model, fields)
    names = [field.name for field in fields]
    context = Context(manifest.layout, names, installed_release())
    plan = compile_model(runtime.model, context, has_short_integers(fields))
    planned = PlannedRuntime(runtime, plan, manifest)
    groups = trials.decoded_groups(runtime.model, manifest, decode)
    if manifest.layout == "frame":
        groups += [list(np.array(rows.T)) for rows in groups if isinstance(rows, np.ndarray)][1:2]
    methods = [method for method in plan.batch if runtime.has_method(method)]
    if not groups or not methods:
        raise UnplannedError("no example row is known, or no method to compare")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        has_integers = manifest.layout == "array" and any(
            map(partial(_has_integer_rows, runtime), groups)
        )
        if has_integers:
            groups += trials.integer_groups(manifest, decode)
            planned.integer_order = "F"
        try:
            _compare_all(plan, runtime, planned, methods, groups)
        except UnplannedError:
            if not has_integers:
                raise
            planned.integer_order = "C"
            _compare_all(plan, runtime, planned, methods, groups)
        more = list(trials.acceptable(trials.coverage_groups(manifest), decode))
        covered, left = _cover(plan, runtime, planned, methods, more)
        planned.quick_rows = min(quick_rows(planned, method, groups) for method in methods)
    planned.reason = f"same bits as the estimator on {sum(map(count, groups)) + covered} rows"
    if left:
        planned.reason += f"; {left} more were not tried within {PATIENCE_SECONDS:g} s"
    return planned


def installed_release() -> tuple[int, int]:
    """Return the major and minor version of the installed scikit-learn."""
    major, minor = str(sys.modules["sklearn"].__version__).split(".")[:2]
    return int(major), int(minor)


def _has_integer_rows(runtime: EstimatorRuntime, rows: Rows) -> bool:
    """Return whether the estimator gets several rows as an array of integers."""
    return count(rows) > 1 and runtime.arrange(rows).dtype.kind in "iu"


def _cover(
    plan: Plan,
    runtime: EstimatorRuntime,
    planned: PlannedRuntime,
    methods: Sequence[str],
    groups: Sequence[Rows],
) -> tuple[int, int]:
    """Compare groups for PATIENCE_SECONDS; return the numbers of rows compared and left.

    Raises:
        UnplannedError: The plan and the estimator differ.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    covered = 0
    for rows in groups:
        if time.monotonic() > deadline:
            break
        for method in methods:
            _compare_group(plan, runtime, planned.block, method, rows)
        covered += count(rows)
    return covered, sum(map(count, groups)) - covered


def _compare_all(
    plan: Plan,
    runtime: EstimatorRuntime,
    planned: PlannedRuntime,
    methods: Sequence[str],
    groups: Sequence[Rows],
) -> None:
    for method in methods:
        compare(plan, runtime, planned.block, method, groups)


def quick_rows(planned: PlannedRuntime, method: str, groups: Sequence[Rows]) -> int:
    """Return the rows that the plan predicts in QUICK_SECONDS, measured with the largest group."""
    for rows in sorted(groups, key=count, reverse=True):
        try:
            seconds = min(_seconds(planned, method, rows) for _ in range(3))
        except FallbackRequiredError:
            continue
        return int(count(rows) * QUICK_SECONDS / seconds)
    return 0


def _seconds(planned: PlannedRuntime, method: str, rows: Rows) -> float:
    started = time.perf_counter()
    planned.call_each(method, rows)
    return time.perf_counter() - started


def compare(
    plan: Plan,
    runtime: EstimatorRuntime,
    block: Callable[[Rows], Any],
    method: str,
    groups: Sequence[Rows],
) -> None:
    """Compare `method` of plan and estimator, for each group in a batch and for single rows.

    Of a group that the plan does not cover, only single rows are compared.

    Raises:
        UnplannedError: One bit differs, the plan predicts rows that the estimator rejects, or it
            covers no row.
    """
    if not sum(_compare_group(plan, runtime, block, method, rows) for rows in groups):
        raise UnplannedError(f"the plan covers no row for {method}")


def _compare_group(
    plan: Plan, runtime: EstimatorRuntime, block: Callable[[Rows], Any], method: str, rows: Rows
) -> int:
    """Compare one group; return the number of results that were compared."""
    single = split_rows(rows)
    batch = _plan_result(plan.batch, method, block, rows)
    if batch is None or len(single) == 1:
        return sum(
            _compare_single(plan, runtime, block, method, row) for row in single[:UNCOVERED_ROWS]
        )
    _require_same(batch, _estimator_result(runtime, method, rows), method)
    row_by_row = _plan_result(plan.row_by_row, method, block, rows)
    if row_by_row is None:
        raise UnplannedError(f"the {method} of the plan covers rows only in a batch")
    chosen = _spread(len(single))
    expected = [_estimator_result(runtime, method, single[n]) for n in chosen]
    _require_same(row_by_row[chosen], _joined(expected), f"{method} of single rows")
    return 1


def _spread(size: int) -> list[int]:
    """Return the numbers of SINGLE_ROWS rows: the first, the last and others between them."""
    return sorted({round(n * (size - 1) / (SINGLE_ROWS - 1)) for n in range(SINGLE_ROWS)})


def _compare_single(
    plan: Plan, runtime: EstimatorRuntime, block: Callable[[Rows], Any], method: str, row: Rows
) -> bool:
    """Compare a single row; return False if the plan does not cover it."""
    results = [_plan_result(part, method, block, row) for part in (plan.batch, plan.row_by_row)]
    if any(result is None for result in results):
        return False
    expected = _estimator_result(runtime, method, row)
    for result in results:
        _require_same(result, expected, f"{method} of a single row")
    return True


def _plan_result(part: Part, method: str, block: Callable[[Rows], Any], rows: Rows) -> Any:
    """Return the result of the plan, None if it does not cover the rows."""
    try:
        return part[method](block(rows))
    except FallbackRequiredError:
        return None
    except Exception as error:
        raise UnplannedError(f"the {method} of the plan fails: {type(error).__name__}") from error


def _estimator_result(runtime: EstimatorRuntime, method: str, rows: Rows) -> Any:
    try:
        return runtime.call(method, rows)
    except Exception as error:
        raise UnplannedError(
            f"the {method} of the plan predicts rows that the estimator rejects"
        ) from error


def _joined(results: Sequence[Any]) -> Any:
    """Concatenate the results of single rows."""
    if isinstance(results[0], np.ndarray):
        return np.concatenate(results)
    if is_sparse(results[0]):
        return vertically_stacked(results)
    raise UnplannedError("the result is not an array")


def _require_same(got: Any, expected: Any, what: str) -> None:
    if not is_same(got, expected):
        raise UnplannedError(f"the {what} of the plan differs from the estimator's")
