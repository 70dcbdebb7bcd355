"""LightGBM's text."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    """The Booster in the file."""
    import lightgbm  # noqa: PLC0415 - a library that only these files need

    return lightgbm.Booster(model_str=stream.read().decode("utf-8"))
