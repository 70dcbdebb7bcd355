"""Boosters inside a pickle, checked by the readers of their files in `formats/`."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from . import limits
from .formats import catboost as catboost_file
from .formats import xgboost as formats_xgboost
from .formats import xgboost_binary
from .invariants import Check
from .invariants.lightgbm import model
from .invariants.objects import InvariantError, attributes, raw, require
from .invariants.scan import Rule, Scan
from .nodes import Blob, Malformed, Node, ObjectNode

_XGBOOST = re.compile(
    rb"\{[LlIiU$\"]"  # UBJSON, and JSON before 2.1
    rb"|CONFIG-offset:"  # before 1.4
    rb"|(binf)?.{136}[\x01-\x40]\0{7}[a-z]+(:[a-z]+)?",  # before 1.0
    re.DOTALL,
)
_OFFSET = b"CONFIG-offset:"
_NO_MODEL = "it contains no model, so compiled code would use a null pointer"
_LENGTH = struct.Struct("<q")


def xgboost(booster: ObjectNode) -> Iterator[Scan]:
    """Check `handle`, the result of `XGBoosterSerializeToBuffer`."""
    state = attributes(booster)
    require(not booster.states or state.get("handle") is not None, _NO_MODEL)
    return _bytes(state.get("handle"), "XGBoost", _check_xgboost)


def catboost(booster: ObjectNode) -> Iterator[Scan]:
    """Check `__model`, the content of a .cbm file. A model that was not fitted does not have it."""
    state = attributes(booster)
    require(state.get("__model", b"") is not None, _NO_MODEL)
    return _bytes(state.get("__model"), "CatBoost", _check_catboost)


def lightgbm(booster: ObjectNode) -> Iterator[Scan]:
    """Check `_handle`, the text of a model. It is `handle` before LightGBM 4."""
    state = attributes(booster)
    texts = [state[name] for name in ("_handle", "handle") if name in state]
    require(not booster.states or bool(texts), _NO_MODEL)
    for node in texts:
        if isinstance(node, str):
            yield Scan(node.encode("utf-8", "surrogatepass"), 1, model(), text=True)
        elif isinstance(node, Blob) and node.codec:
            yield Scan(node, 1, model(), text=True)
        else:
            raise InvariantError("the string is not a LightGBM model")


CHECKS: dict[str, Check] = {
    "xgboost:Booster": xgboost,
    "lightgbm:Booster": lightgbm,
    **dict.fromkeys(
        ("catboost:CatBoost", "catboost:CatBoostClassifier", "catboost:CatBoostRegressor",
         "catboost:CatBoostRanker"),
        catboost,
    ),
}  # fmt: skip
"""Entries like those of `invariants.CHECKS`."""


def _bytes(node: Node, library: str, check: Callable[[bytes], None]) -> Iterator[Scan]:
    if node is None:
        return
    content = raw(node)
    if content is None:
        raise InvariantError(f"the string is not a {library} model")
    yield Scan(content, 1, _whole(library, check))


def _whole(library: str, check: Callable[[bytes], None]) -> Rule:
    data = bytearray()
    while piece := (yield):
        data += piece
        require(len(data) <= limits.NATIVE_BYTES, f"the {library} model is too large")
    try:
        check(bytes(data))
    except Malformed as problem:
        raise InvariantError(problem.message) from None


def _check_xgboost(data: bytes) -> None:
    require(_XGBOOST.match(data) is not None, "the string is not an XGBoost model")
    if data.startswith(b"{"):
        formats_xgboost.check_saved(data)
        return
    xgboost_binary.read(xgboost_content(data))


def xgboost_content(data: bytes) -> bytes:
    """Return the model in `handle`, without the configuration that follows a binary one.

    Raises:
        InvariantError: The data ends too early.
    """
    if not data.startswith(_OFFSET):
        return data
    start = len(_OFFSET) + _LENGTH.size
    require(len(data) >= start, "the XGBoost model ends too early")
    (size,) = _LENGTH.unpack(data[len(_OFFSET) : start])
    require(0 < size < len(data) - start, "the XGBoost model ends too early")
    return data[start : start + size]


def _check_catboost(data: bytes) -> None:
    require(data.startswith(b"CBM1"), "the string is not a CatBoost model")
    catboost_file.read(data)
