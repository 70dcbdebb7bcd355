"""Tiny data of every kind that estimators take."""

import numpy as np

ROWS = 30

_random = np.random.RandomState(0)
X = np.abs(_random.normal(size=(ROWS, 4))) + 0.1
BINARY = np.arange(ROWS) % 2
LABELS = np.array(["red", "green", "blue"], dtype=object)[np.arange(ROWS) % 3]
NUMBERS = X.sum(axis=1) + _random.normal(size=ROWS) / 10
SEVERAL = np.c_[BINARY, np.arange(ROWS) % 3 == 0].astype(int)
PARTLY = np.where(np.arange(ROWS) % 4, BINARY, -1)  # -1: no label
WORDS = ["red wine", "white wine", "old red beer", "green tea", "black tea leaf"] * (ROWS // 5)
DICTS = [{"colour": str(label), "size": float(row[0])} for label, row in zip(LABELS, X)]
COLOURS = LABELS.reshape(-1, 1)
DISTANCES = np.abs(X[:, :1] - X[:, :1].T)
HOLES = np.where(_random.uniform(size=X.shape) < 0.1, np.nan, X)
LEVELS = (np.arange(ROWS * 2) % 3).reshape(-1, 2)


def frame():
    """Rows with a column of numbers, one of strings, one of categories, one of text."""
    import pandas as pd

    columns = {"size": X[:, 0], "colour": LABELS, "words": WORDS}
    found = pd.DataFrame(columns)
    found["kind"] = pd.Categorical(LABELS)
    return found
