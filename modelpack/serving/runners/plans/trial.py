"""A plan beside its estimator, on rows around the model's own example, before it may answer."""

from __future__ import annotations

import time
from typing import Any, Callable, List, Sequence

import numpy as np

from ...columns import DoubtError, Rows, count
from ...manifest import Field, Manifest
from ..estimator import EstimatorRunner
from . import Plan, compile_model
from .compiler import UnplannedError
from .runner import PlannedRunner, apart

ROWS = 32
"""Of each kind: near the example, and far from it."""
QUICK_SECONDS = 0.005
"""Which nobody else who is connected notices."""
ALONE = 4
"""Rows that are asked for one by one, too."""

FACTORS = (0.0, -1.0, 1e-3, 1e3, 1.0, 1e9, -1e9, 1.0000001)
_STEP = 0.6180339887498949  # the golden ratio's, whose multiples spread evenly

Decode = Callable[[List[Any]], Rows]


def planned(runner: EstimatorRunner, manifest: Manifest, decode: Decode) -> PlannedRunner:
    """The runner by the plan of `runner`'s model, which has proved itself. `decode`: makes rows of
    what JSON has.

    Raises:
        UnplannedError: there is no plan, or it does not give what the estimator gives.
    """
    if manifest.example is None:
        raise UnplannedError("no row is known to try it on")
    plan = compile_model(runner.model, manifest.layout, [field.name for field in manifest.inputs])
    by_plan = PlannedRunner(runner, plan, manifest.layout)
    groups = [decode(rows) for rows in trial_rows(manifest.inputs, manifest.example)]
    methods = [method for method in plan.together if runner.can(method)]
    for method in methods:
        compare(plan, runner, by_plan.block, method, groups)
    by_plan.quick_rows = min(_quick_rows(by_plan, method, groups) for method in methods)
    by_plan.told = f"the same bits on {sum(map(count, groups))} rows"
    return by_plan


def _quick_rows(by_plan: PlannedRunner, method: str, groups: Sequence[Rows]) -> int:
    """How many rows the plan answers in QUICK_SECONDS."""
    for rows in reversed(groups):
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
    """Hold `method` of the plan against the estimator's, for each group at once and row by row.

    Raises:
        UnplannedError: they differ in one bit, or the plan has doubts about every row.
    """
    proved = 0
    for rows in groups:
        try:
            together = plan.together[method](block(rows))
            each = plan.each[method](block(rows))
        except DoubtError:
            continue
        alone = [runner.call(method, row) for row in apart(rows)[:ALONE]]
        if not same(together, runner.call(method, rows)):
            raise UnplannedError(f"its {method} differs from the estimator's")
        if not same(each[: len(alone)], np.concatenate(alone)):
            raise UnplannedError(f"its {method} of single rows differs from the estimator's")
        proved += 1
    if not proved:
        raise UnplannedError(f"it has doubts about all rows for {method}")


def same(one: Any, other: Any) -> bool:
    """Whether two arrays are of one dtype and shape, and equal to the last bit; NaN is NaN."""
    if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool(np.all(one == other))
    equal = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool(np.all(equal | (np.isnan(one) & np.isnan(other))))


def trial_rows(fields: Sequence[Field], example: Sequence[Any]) -> list[list[list[Any]]]:
    """Groups of rows as JSON has them: the example and others near it, some far from it, and some
    with nothing where something may be missing.
    """
    makers: dict[str, Callable[[Any, int], Any]] = {"near": _near, "far": _far}
    groups = [
        [list(example)],
        *([_row(fields, example, n, makers[kind]) for n in range(ROWS)] for kind in makers),
    ]
    if any(field.nullable for field in fields):
        rows = [_row(fields, example, n, _near) for n in range(ROWS)]
        groups.append([_without(fields, row, n) for n, row in enumerate(rows)])
    return groups


def _row(
    fields: Sequence[Field], example: Sequence[Any], n: int, number: Callable[[Any, int], Any]
) -> list[Any]:
    return [
        _value(field, value, n + 3 * place, number)
        for place, (field, value) in enumerate(zip(fields, example))
    ]


def _without(fields: Sequence[Field], row: list[Any], n: int) -> list[Any]:
    return [
        None if field.nullable and (n + place) % 3 == 0 else value
        for place, (field, value) in enumerate(zip(fields, row))
    ]


def _value(field: Field, example: Any, n: int, number: Callable[[float, int], float]) -> Any:
    if field.categories:
        return field.categories[n % len(field.categories)]
    if field.type == "boolean" or isinstance(example, bool):
        return n % 2 == 0
    if isinstance(example, str):
        return _text(example.split(), n)
    if not isinstance(example, (int, float)):
        return example
    value = number(float(example), n)
    return int(value) if field.type == "integer" else value


def _near(example: float, n: int) -> float:
    return example + ((n * _STEP) % 1 - 0.5) * max(abs(example), 1.0)


def _far(example: float, n: int) -> float:
    return (example or 1.0) * FACTORS[n % len(FACTORS)]


def _text(words: Sequence[str], n: int) -> str:
    """Some of the words, in another order, more or fewer of them; or a single word, as it is."""
    if len(words) < 2:
        return " ".join(words)
    return " ".join(words[(n * each) % len(words)] for each in range(1, 2 + n % (2 * len(words))))
