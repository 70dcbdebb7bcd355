"""The plan of a case compared with its estimator, bit by bit."""

import numpy as np
from scipy import sparse

from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.plans import Context, UnplannedError, compile_model
from modelpack.serving.runtimes.plans.runtime import installed_release
from modelpack.serving.runtimes.trials import is_same

SINGLE_ROWS = 4
"""Rows of each group that are also predicted one by one."""
REFUSED = object()
DOUBTED = object()


class Tally:
    """Counts: rows that were the same, doubted, refused by both; and differences, in words."""

    def __init__(self):
        self.same = self.doubted = self.refused = 0
        self.differences = []

    def add(self, got, expected, count, where):
        if got is DOUBTED:
            self.doubted += count
            self.refused += count if expected is REFUSED else 0
        elif expected is REFUSED:
            self.differences.append(where + ": predicts rows that the estimator refuses")
        elif is_same(got, expected):
            self.same += count
        else:
            self.differences.append(where + ": " + _differs(got, expected))


def compare(case, tally):
    """Add to `tally` how the plan of a case compares; return why there is no plan, or None."""
    try:
        plan = compile_model(case.model, Context(case.layout, case.names, installed_release()))
    except UnplannedError as error:
        return str(error)
    for method in plan.batch:
        function = getattr(case.model, method, None)
        if function is None:
            continue
        alone = {}
        for number, (rows, block) in enumerate(case.groups):
            where = f"{method}, group {number}"
            count = _count(rows)
            answers = _library_answers(function, rows)
            tally.add(_plan_answers(plan.batch, method, block), answers, count, where)
            single_rows = min(SINGLE_ROWS, count)
            singles = [answers] if count == 1 else _alone(function, rows, single_rows, alone)
            got = _plan_answers(plan.row_by_row, method, _first(block, single_rows))
            if any(each is REFUSED for each in singles):
                tally.add(got, REFUSED, single_rows, where + " alone")
            elif singles:
                tally.add(got, _joined(singles), single_rows, where + " alone")
    return None


def _count(rows):
    return rows.shape[0] if hasattr(rows, "shape") else len(rows)


def _part(rows, n):
    return rows.iloc[n : n + 1] if hasattr(rows, "iloc") else rows[n : n + 1]


def _first(block, count):
    if isinstance(block, list) and block and isinstance(block[0], np.ndarray):
        return [column[:count] for column in block]
    return block[:count]


def _plan_answers(part, method, block):
    try:
        return part[method](block)
    except FallbackRequiredError:
        return DOUBTED
    except Exception:  # a plan's runner takes each for a doubt
        return DOUBTED


def _alone(method, rows, count, known):
    """Return the answers to each of the first rows; `known` has those of rows of earlier groups."""
    singles = []
    for part in (_part(rows, n) for n in range(count)):
        key = (part.dtype.str, part.tobytes()) if isinstance(part, np.ndarray) else len(known)
        if key not in known:
            known[key] = _library_answers(method, part)
        singles.append(known[key])
    return singles


def _library_answers(method, rows):
    try:
        return method(_copied(rows))  # with copy=False a transformer writes into its rows
    except Exception:
        return REFUSED


def _copied(rows):
    if isinstance(rows, np.ndarray):
        return np.copy(rows, order="K")
    return rows.copy() if hasattr(rows, "iloc") else rows


def _joined(singles):
    if isinstance(singles[0], np.ndarray):
        return np.concatenate(singles)
    return sparse.vstack(singles, "csr") if sparse.issparse(singles[0]) else singles


def _differs(got, expected):
    if (
        type(got) is not type(expected)
        or got.dtype != expected.dtype
        or got.shape != expected.shape
    ):
        return f"{_kind(got)} is not {_kind(expected)}"
    if sparse.issparse(got):
        return "sparse rows differ"
    is_other = got != expected
    row = int(np.flatnonzero(np.atleast_1d(is_other).reshape(len(got), -1).any(axis=1))[:1].sum())
    return f"row {row}: {got[row]!r} is not {expected[row]!r}"


def _kind(value):
    shape = getattr(value, "shape", "")
    return f"{type(value).__name__} {getattr(value, 'dtype', '')} {shape}"
