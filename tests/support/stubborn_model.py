"""A model of its author's own class, in a module that the service can import to load it."""

from __future__ import annotations

import time

import numpy as np
from sklearn.base import BaseEstimator


class Stubborn(BaseEstimator):
    """A model that fails on 13 and is slow on 99."""

    def predict(self, rows: np.ndarray) -> np.ndarray:
        if (rows == 13).any():
            raise RuntimeError("no thirteens in /srv/secret")
        if (rows == 99).any():
            time.sleep(1.5)
        return rows[:, 0]
