"""An estimator that keeps sparse columns, intervals and columns of Arrow.

As for save_columns.py, with the releases of pandas in the names of the files.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.linear_model import LinearRegression

BREAKS = {
    "numbers": lambda: [0, 1, 2],
    "fractions": lambda: [0, 0.5, 2],
    "dates": lambda: pd.date_range("2020", periods=3),
    "durations": lambda: pd.timedelta_range("1h", periods=3),
}
SPARSE = {
    "zeros": lambda: pd.arrays.SparseArray([0, 0, 3]),
    "missing": lambda: pd.arrays.SparseArray([np.nan, 1, 2, np.nan]),
    "flags": lambda: pd.arrays.SparseArray([False, True, False], fill_value=False),
    "blocks": lambda: pd.arrays.SparseArray([0.0, 1, 1, 0, 2], fill_value=0, kind="block"),
    "none": lambda: pd.arrays.SparseArray(np.zeros(3), fill_value=0),
}
ARROW = {
    "int64": lambda: ([1, None, 3], pa.int64()),
    "uint8": lambda: ([1, None], pa.uint8()),
    "double": lambda: ([1.5, None], pa.float64()),
    "bool": lambda: ([True, None, False], pa.bool_()),
    "string": lambda: (["a", None], pa.string()),
    "binary": lambda: ([b"a", None], pa.binary()),
    "date": lambda: ([date(2020, 1, 1), None], pa.date32()),
    "moment": lambda: ([datetime(2020, 1, 1), None], pa.timestamp("us")),
    "zone": lambda: ([datetime(2020, 1, 1), None], pa.timestamp("us", "Europe/Paris")),
    "duration": lambda: ([timedelta(1), None], pa.duration("ns")),
    "decimal": lambda: ([Decimal("1.5"), None], pa.decimal128(5, 2)),
    "null": lambda: ([None, None], pa.null()),
}
WAYS = {
    **{
        f"intervals of {name}": lambda make=make: pd.DataFrame(
            {"a": pd.arrays.IntervalArray.from_breaks(make(), closed="left")}
        )
        for name, make in BREAKS.items()
    },
    "bins": lambda: pd.cut(pd.Series([1.0, 2, 3, 4]), 3),
    **{f"sparse {name}": lambda make=make: pd.Series(make()) for name, make in SPARSE.items()},
    "indicators": lambda: pd.get_dummies(pd.Series(list("abca")), sparse=True),
    **{
        name: lambda make=make: pd.Series(make()[0], dtype=pd.ArrowDtype(make()[1]))
        for name, make in ARROW.items()
    },
    "part": lambda: pd.Series([1, None, 3, 4], dtype=pd.ArrowDtype(pa.int64()))[1:],
    "index": lambda: pd.Index([1, 2], dtype=pd.ArrowDtype(pa.int64())),
    "converted": lambda: pd.DataFrame({"a": [1, 2], "b": list("xy")}).convert_dtypes(
        dtype_backend="pyarrow"
    ),
}

model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
model.columns_ = {}
for name, make in WAYS.items():
    try:
        model.columns_[name] = make()
    except (AttributeError, TypeError):
        continue  # this release does not have it
print(len(model.columns_), "of", len(WAYS))
joblib.dump(model, Path(__file__).parent / f"kinds-{pd.__version__}.joblib", compress=9)
