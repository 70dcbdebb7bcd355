"""CatBoost's binary format, .cbm."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection

CLASSES = ("CatBoostClassifier", "CatBoostRegressor", "CatBoost")
"""The last for models of neither kind, whose predictions are raw values."""


def load(stream: BinaryIO, names: Collection[str]) -> Any:
    """The model in the file, as the one of CLASSES that stands in `names`."""
    import catboost  # noqa: PLC0415 - a library that only these files need

    name = next(name for name in CLASSES if f"catboost.core:{name}" in names)
    return getattr(catboost, name)().load_model(blob=stream.read())
