"""An estimator that keeps columns of every type, as each release of pandas pickles them.

uv venv -p 3.8 old && uv pip install -p old pandas==1.3.5 scikit-learn==1.0.2 numpy==1.21.6 \
    joblib==1.1.1 pyarrow==6.0.1   # and so on to pandas 3
old/bin/python save_columns.py
"""

from datetime import datetime, timezone
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

NUMBERS = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)]
NUMBERS += ["Float32", "Float64"]
OFFSETS = ["B", "MS", "BMS", "BM", "BME", "QS", "Q", "QE", "YS", "Y", "YE", "W"]
OFFSETS += ["h", "min", "s", "ms", "us", "ns"]
WAYS = {
    "strings": lambda: pd.array(["a", None], dtype="string"),
    "python strings": lambda: pd.array(["a", None], dtype="string[python]"),
    "arrow strings": lambda: pd.array(["a", None], dtype="string[pyarrow]"),
    "inferred strings": lambda: pd.array(["a", None], dtype="string[pyarrow_numpy]"),
    "categories of strings": lambda: pd.Categorical(pd.array(["a", "b"], dtype="string")),
    "missing": lambda: pd.NA,
    **{
        name: lambda name=name: pd.Series([1, None], dtype=name)
        for name in [
            "Int8",
            "Int16",
            "Int32",
            "Int64",
            "UInt8",
            "UInt16",
            "UInt32",
            "UInt64",
            "Float32",
            "Float64",
        ]
    },
    "booleans": lambda: pd.Series([True, None], dtype="boolean"),
    "unsigned index": lambda: pd.Index(np.array([1, 2], dtype="uint64")),
    **{
        freq: lambda freq=freq: pd.date_range("2020-01-01", periods=2, freq=freq)
        for freq in [
            "B",
            "MS",
            "BMS",
            "BM",
            "BME",
            "QS",
            "Q",
            "QE",
            "YS",
            "Y",
            "YE",
            "W",
            "h",
            "min",
            "s",
            "ms",
            "us",
            "ns",
        ]
    },
    "quarters": lambda: pd.period_range("2020-01", periods=2, freq="Q-DEC"),
    "months": lambda: pd.period_range("2020-01", periods=2, freq="M"),
    "zone": lambda: pd.Series(pd.to_datetime(["2020-01-01"]).tz_localize("Europe/Paris")),
    "moment in a zone": lambda: pd.Timestamp("2020-01-01", tz="Europe/Paris"),
    "fixed offset": lambda: pd.Timestamp("2020-01-01T00:00+01:00"),
    "utc": lambda: pd.Timestamp(datetime(2020, 1, 1, tzinfo=timezone.utc)),
}

model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
model.columns_ = {}
for name, make in WAYS.items():
    try:
        model.columns_[name] = make()
    except (AttributeError, ImportError, KeyError, TypeError, ValueError, pd.errors.ParserError):
        continue  # this release does not have it
joblib.dump(model, Path(__file__).parent / f"columns-{pd.__version__}.joblib", compress=9)
