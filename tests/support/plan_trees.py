"""Records of estimators with trees, and their plans, also without scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from plan_checks import compare
from plan_records import to_record

from modelpack.serving.runtimes.plans import Context, Plan, compile_model
from modelpack.serving.runtimes.plans.records import Record, is_record, make_record
from modelpack.serving.runtimes.plans.runtime import installed_release

PLAIN = (np.ndarray, np.generic, int, float, str, bool, type(None))


def plain_record(model: Any) -> Any:
    """Return the record of a model, without the attributes that have no form in a file."""
    return _plain(to_record(model, {"Tree": tree_record}))


def tree_record(tree: Any) -> Record:
    """Return the record of scikit-learn's Tree: its arguments and its state."""
    state = tree.__getstate__()
    names = ("n_features", "n_classes", "n_outputs")
    attributes = {**{name: getattr(tree, name) for name in names}, **state}
    return make_record("sklearn.tree._tree", "Tree", attributes)


def _plain(value: Any) -> Any:
    if is_record(value):
        attributes = {name: _plain(each) for name, each in vars(value).items() if _has_form(each)}
        return make_record(type(value).__module__, type(value).__name__, attributes)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.copy()
        value.ravel()[:] = [_plain(each) for each in value.ravel().tolist()]
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(each) for each in value)
    return value


def _has_form(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_has_form, value))
    return (
        is_record(value) or isinstance(value, (*PLAIN, dict, slice)) or value in (float, np.float64)
    )


def plan_of_record(
    record: Any, layout: str = "array", release: tuple[int, int] | None = None
) -> Plan:
    names: list[str] = []
    return compile_model(record, Context(layout, names, release or installed_release()))


def check_record(
    model: Any, rows: np.ndarray, planned: Sequence[str], single_rows: int = 12
) -> None:
    """Check that the plan of the record of `model` has the bits of the model.

    Args:
        rows: float64 (n_rows, n_inputs), compared in one batch.
        planned: The methods of the plan.
        single_rows: How many of the rows are also compared one by one, and three by three.
    """
    plan = plan_of_record(plain_record(model))
    assert set(plan.batch) == set(planned)
    for method in planned:
        estimate = getattr(model, method)
        compare(plan.batch[method](rows), estimate(rows), method)
        compare(plan.batch[method](rows[:3]), estimate(rows[:3]), method)
        singly = np.concatenate([estimate(row.reshape(1, -1)) for row in rows[:single_rows]])
        compare(plan.row_by_row[method](rows)[:single_rows], singly, method)
        each = [plan.row_by_row[method](row.reshape(1, -1)) for row in rows[:single_rows]]
        compare(np.concatenate(each), singly, method)
