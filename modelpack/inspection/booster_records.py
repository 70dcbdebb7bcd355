"""Attributes of the records of LightGBM's and XGBoost's Boosters, in files and in pickles."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from modelpack.types import Scalar

from .embedded import xgboost_content
from .facts.boosters import HANDLES, lightgbm, saved, with_categories
from .facts.compilable import LIBRARIES
from .facts.estimators import attributes
from .formats import lightgbm as lightgbm_file
from .formats import lightgbm_trees, xgboost_trees
from .formats.trees import Unrecordable
from .invariants.objects import InvariantError
from .nodes import DictNode, Malformed, ObjectNode, class_key
from .parser import ParsedFile, native_content

LIGHTGBM, XGBOOST = "lightgbm.basic:Booster", "xgboost.core:Booster"
CLASSES = (
    LIGHTGBM, XGBOOST, "lightgbm.sklearn:LGBM", "xgboost.sklearn:XGB",
    "xgboost.compat:XGBoostLabelEncoder",
)  # fmt: skip
"""How the names of classes begin that are or contain a Booster, or the labels of one."""

_BINARY, _PICKLED, _PICKLED_BEFORE = (2, 0), (1, 2), (0, 90)
"""The last releases of XGBoost that read a binary file, the pickles of 1.0 to 1.2, and older ones.
Their environments contain them."""

_INVALID = (
    Malformed, InvariantError, KeyError, ValueError, IndexError, OverflowError, struct.error,
)  # fmt: skip
"""Errors of readers for data that no library wrote."""


def is_booster(node: ObjectNode) -> bool:
    """Return whether an object is a Booster."""
    return class_key(node) in (LIGHTGBM, XGBOOST)


def pickled(node: ObjectNode) -> dict[str, Any]:
    """Return the attributes of the record of a Booster in a pickle.

    Raises:
        Unrecordable: The Booster has no form in a compiled model.
    """
    state = attributes(node)
    data = next(filter(None, (saved(state.get(name)) for name in HANDLES)), b"")
    if class_key(node) == XGBOOST:
        is_newer = data != (content := _content(data))
        return _xgboost_attributes(content, _PICKLED if is_newer else _PICKLED_BEFORE)
    facts = lightgbm(data)
    if state.get("pandas_categorical"):
        facts = with_categories(facts, state["pandas_categorical"])
    best = state.get("best_iteration")
    return _lightgbm_attributes(data, facts.categories, best if type(best) is int else 0)


def native(file: ParsedFile) -> tuple[str, dict[str, Any]]:
    """Return the class and the attributes of the record of a file of LightGBM or XGBoost.

    Raises:
        Unrecordable: The file is that of another library, or has no form in a compiled model.
    """
    if file.native is None or file.native.framework not in LIBRARIES:
        raise Unrecordable(file.native.description if file.native else "the file")
    data = native_content(file)
    if file.native.framework == "xgboost":
        return XGBOOST, _xgboost_attributes(data, _BINARY)
    return LIGHTGBM, _lightgbm_attributes(data, lightgbm_file.categories(data), 0)


def _lightgbm_attributes(
    data: bytes, categories: Mapping[int, tuple[Scalar, ...]], best: int
) -> dict[str, Any]:
    found = _read(lightgbm_trees.record_attributes, data, "LightGBM")
    return {**found, "category_values": _as_dict(categories), "best_iteration": best}


def _content(data: bytes) -> bytes:
    try:
        return xgboost_content(data)
    except InvariantError as error:
        raise Unrecordable("this model of XGBoost") from error


def _xgboost_attributes(data: bytes, release: tuple[int, int]) -> dict[str, Any]:
    return _read(partial(xgboost_trees.record_attributes, otherwise=release), data, "XGBoost")


def _read(read: Callable[[bytes], dict[str, Any]], data: bytes, library: str) -> dict[str, Any]:
    try:
        found = read(data)
    except _INVALID as error:
        raise Unrecordable(f"this model of {library}") from error
    known = found.get("category_values")
    return {**found, "category_values": _as_dict(known)} if isinstance(known, Mapping) else found


def _as_dict(values: Mapping[int, tuple[Scalar, ...]]) -> DictNode:
    return DictNode(list(values), list(values.values()))
