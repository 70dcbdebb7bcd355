"""XGBoost's JSON, UBJSON and binary format, which it tells apart itself."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    """The Booster in the file."""
    import xgboost  # noqa: PLC0415 - a library that only these files need

    return xgboost.Booster(model_file=bytearray(stream.read()))
