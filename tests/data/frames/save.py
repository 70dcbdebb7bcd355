"""Frames, series and indexes of pandas as each release pickles them.

uv venv -p 3.7 old && uv pip install -p old pandas==0.25.3 numpy==1.16.6   # and so on to pandas 3
old/bin/python save.py
"""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd

FRAME = pd.DataFrame(
    {
        "a": [1, 2, 3],
        "b": [1.0, 2.0, 3.0],
        "c": pd.Categorical(["x", None, "y"]),
        "d": np.array(["u", "v", "w"], object),
        "e": [4, 5, 6],
        "t": pd.to_datetime(["2020-01-01"] * 3),
        "z": pd.to_datetime(["2020-01-01"] * 3).tz_localize("UTC"),
    }
)
FRAME.columns = pd.Index(list(FRAME.columns), dtype=object)
FRAME["d"] = FRAME["d"].astype(object)
FRAME["c"] = FRAME["c"].cat.rename_categories([0.5, 1.5])
PARTS = FRAME.copy()
for number in range(3):
    PARTS[f"n{number}"] = number
del PARTS["n1"]
MADE = [
    FRAME,
    PARTS,
    FRAME.iloc[:0],
    FRAME.iloc[::-1, ::-1],
    FRAME.set_index(["a", "b", "c"]),
    FRAME.set_index(["a", "e"])[["b"]].unstack(),
    FRAME["b"][1:],
    FRAME["c"],
    pd.Series([1, 2, 3], pd.period_range("2020-01", periods=3, freq="M")),
    pd.Series([1, 2, 3], pd.timedelta_range("1h", periods=3)),
    pd.Series([1, 2], pd.IntervalIndex.from_breaks([0, 1, 2])),
    pd.MultiIndex.from_arrays([[1, None, 2], [0.5, 1.5, None]]),
    pd.DataFrame(np.zeros((3, 5))),
    pd.DataFrame({"n": pd.Series([1, None], dtype="Int64"), "m": 1}),
]

(Path(__file__).parent / f"pandas-{pd.__version__}.pkl").write_bytes(pickle.dumps(MADE, 2))
