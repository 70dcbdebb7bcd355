"""Checks of the dtypes of fitted attributes: a plan computes with float64."""

from __future__ import annotations

from typing import Any

import numpy as np

WIDENED = tuple(
    f"sklearn.{name}." for name in ("linear_model", "preprocessing", "decomposition", "impute")
)
"""Modules whose classes combine float64 rows with fitted arrays by numpy, which widens float32 to
float64 first, in a plan as in the estimator."""


def first_unsupported_attribute(estimator: Any) -> str | None:
    """Return the first fitted attribute whose results differ from those of float64, or None.

    These are float16, long doubles, complex numbers and, in most classes, float32.
    """
    kind = type(estimator)
    supported: set[np.dtype[Any]] = {np.dtype(np.float64)}
    if kind.__module__.startswith(WIDENED):
        supported.add(np.dtype(np.float32))
    settings = kind._get_param_names()
    fitted = (item for item in vars(estimator).items() if item[0] not in settings)
    return next((name for name, value in fitted if _is_other(value, supported)), None)


def _is_other(value: Any, supported: set[np.dtype[Any]]) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_is_other(each, supported) for each in value)
    dtype = getattr(value, "dtype", None)
    return isinstance(dtype, np.dtype) and dtype.kind in "fc" and dtype not in supported
