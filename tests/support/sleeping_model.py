"""A model of a user class that takes the seconds in the first value of each row.

For negative seconds it keeps the lock of the interpreter, as a loop in compiled code does.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np
from sklearn.base import BaseEstimator


class Sleeping(BaseEstimator):
    """A model that sleeps for as many seconds as its first values; negative ones keep the GIL."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        seconds = float(rows[:, 0].sum())
        if seconds < 0:
            ctypes.PyDLL(None).sleep(int(-seconds))
        else:
            time.sleep(seconds)
        return rows[:, 0]
