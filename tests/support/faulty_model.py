"""A model of user code whose first value selects what it returns or raises."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

GOOD = 1.0


def _raise(error: type[BaseException]) -> None:
    raise error


RETURNS: dict[float, Any] = {
    10: [],
    11: [1.0, 2.0],
    12: None,
    13: "a text",
    14: {"prediction": 1.0},
    15: 3.5,
    16: [[1.0, 2.0], [3.0]],
    17: (np.zeros(1), np.ones(1)),
    18: np.zeros((2, 1)),
}
ENDS = {
    30: lambda: sys.exit(0),
    31: lambda: sys.exit("by the model"),
    32: lambda: _raise(KeyboardInterrupt),
    33: lambda: _raise(GeneratorExit),
    34: lambda: _raise(BaseException),
}
EXITS = {40: 3, 41: 4, 42: 0, 43: 1}


class Faulty(BaseEstimator):
    """Has two classes, whose probabilities are wrong where the first value is 20 to 24."""

    classes_ = np.array(["no", "yes"])

    def predict(self, rows: np.ndarray) -> Any:
        kind = float(rows[0, 0])
        if kind in ENDS:
            ENDS[kind]()
        if kind in EXITS:
            os._exit(EXITS[kind])
        return RETURNS.get(kind, np.full(len(rows), "yes"))

    def predict_proba(self, rows: np.ndarray) -> Any:
        wrong = {
            20: np.full((len(rows), 3), 1 / 3),
            21: np.full(len(rows), 0.5),
            22: np.full((len(rows) + 1, 2), 0.5),
            23: None,
        }
        probabilities = [[0.25, 0.75] for _ in rows]
        return wrong.get(float(rows[0, 0]), probabilities)
