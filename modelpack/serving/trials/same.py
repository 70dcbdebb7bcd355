"""Two answers of a model compared, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np


def same(one: Any, other: Any) -> bool:
    """Whether two arrays are of one dtype and shape, and equal to the last bit; NaN is NaN. Of
    sparse matrices, whether they hold the same at the same places, in the same order.
    """
    if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if hasattr(one, "indptr"):
        places = ("indptr", "indices")
        equal = (np.array_equal(getattr(one, name), getattr(other, name)) for name in places)
        return all(equal) and same(one.data, other.data)
    if one.dtype.kind != "f":
        return bool(np.all(one == other))
    is_equal = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool(np.all(is_equal | (np.isnan(one) & np.isnan(other))))
