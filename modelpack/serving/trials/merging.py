"""Whether rows of several requests may be asked for by one call."""

from __future__ import annotations

import time
import warnings
from typing import Any, Sequence

import numpy as np

from ..columns import Rows, apart, count
from ..manifest import Manifest
from . import samples
from .same import same

ALONE = 4
"""Rows of a group that are asked for one by one, too."""
PATIENCE_SECONDS = 1.0
LIBRARIES = frozenset(
    {"sklearn", "numpy", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "catboost"}
    | {"builtins", "__builtin__", "collections", "copyreg", "copy_reg", "_codecs", "datetime"}
)
"""Whose estimators are known to judge each row by itself, but for rounding."""


def merges(runner: Any, manifest: Manifest, methods: Sequence[str], decode: samples.Decode) -> bool:
    """Whether the model answers each of several rows as it answers it alone, to the last bit. Code
    of others than LIBRARIES may do anything with its rows, and is not tried.
    """
    if not {name.partition(":")[0].partition(".")[0] for name in manifest.globals} <= LIBRARIES:
        return False
    deadline = time.monotonic() + PATIENCE_SECONDS
    groups = samples.decoded(runner.model, manifest, decode)
    several = [rows for rows in groups if count(rows) > 1]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return all(_merge(runner, method, several, deadline) for method in methods)


def _merge(runner: Any, method: str, groups: Sequence[Rows], deadline: float) -> bool:
    proved = False
    for rows in groups:
        answers = _answers(runner, method, rows)
        if answers is None:
            continue
        together, alone = answers
        if time.monotonic() > deadline or not isinstance(together, np.ndarray):
            return False
        if not same(together[: len(alone)], np.concatenate(alone)):
            return False
        proved = True
    return proved


def _answers(runner: Any, method: str, rows: Rows) -> tuple[Any, list[Any]] | None:
    """To the rows at once, and to the first of them each alone; None where one is refused."""
    try:
        alone = [runner.call(method, row) for row in apart(rows)[:ALONE]]
        return runner.call(method, rows), alone
    except Exception:
        return None
