"""Boosters of LightGBM and XGBoost."""

from __future__ import annotations

from typing import Any

from . import lightgbm, xgboost
from .compiler import Compiler, Compilers, Part


def booster(model: Any, compiler: Compiler) -> Part:
    """Compile a Booster. Both libraries have a class of this name."""
    if type(model).__module__.startswith("lightgbm."):
        return lightgbm.booster(model, compiler)
    return xgboost.booster(model, compiler)


COMPILERS: Compilers = {"Booster": booster, **lightgbm.COMPILERS, **xgboost.COMPILERS}
