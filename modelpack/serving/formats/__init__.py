"""How a model file is read, one file a format: `load(path) -> object`."""

from __future__ import annotations

from . import joblib, pickle

FORMATS = {"pickle": pickle.load, "joblib": joblib.load}
