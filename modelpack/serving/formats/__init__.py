"""How a model file is read, one file a format: `load(stream, names) -> object`.

`stream` is what the file holds, decompressed but for archives; `names` are the "module:name" that
it may look up. CannotStartError: it names another.
"""

from __future__ import annotations

from . import catboost, joblib, lightgbm, onnx, pickle, skops, xgboost

FORMATS = {
    "pickle": pickle.load,
    "joblib": joblib.load,
    "skops": skops.load,
    "lightgbm": lightgbm.load,
    "xgboost": xgboost.load,
    "catboost": catboost.load,
    "onnx": onnx.load,
}
