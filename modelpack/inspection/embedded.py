"""Models of other libraries inside a pickle, checked by the readers of their files.

The bytes go to the readers of `native/`, which read the same models as files.
"""

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
    rb"\{[LlIiU$\"]"  # UBJSON, and JSON of before 2.1
    rb"|CONFIG-offset:"  # of before 1.4
    rb"|(binf)?.{136}[\x01-\x40]\0{7}[a-z]+(:[a-z]+)?",  # of before 1.0
    re.DOTALL,
)
_OFFSET = b"CONFIG-offset:"
_NO_MODEL = "it holds no model, and compiled code would follow a pointer to none"
_LENGTH = struct.Struct("<q")


def xgboost(made: ObjectNode) -> Iterator[Scan]:
    """`handle` is the result of `XGBoosterSerializeToBuffer`."""
    state = attributes(made)
    require(not made.states or state.get("handle") is not None, _NO_MODEL)
    return _bytes(state.get("handle"), "XGBoost", _check_xgboost)


def catboost(made: ObjectNode) -> Iterator[Scan]:
    """`__model` is the content of a .cbm file; a model that was not fitted does not have it."""
    state = attributes(made)
    require(state.get("__model", b"") is not None, _NO_MODEL)
    return _bytes(state.get("__model"), "CatBoost", _check_catboost)


def lightgbm(made: ObjectNode) -> Iterator[Scan]:
    """`_handle`, before LightGBM 4 `handle`, is the text of a model."""
    state = attributes(made)
    found = [state[name] for name in ("_handle", "handle") if name in state]
    require(not made.states or bool(found), _NO_MODEL)
    for node in found:
        if isinstance(node, str):
            yield Scan(node.encode("utf-8", "surrogatepass"), 1, model(), text=True)
        elif isinstance(node, Blob) and node.codec:
            yield Scan(node, 1, model(), text=True)
        else:
            raise InvariantError("the string is no model of LightGBM")


CHECKS: dict[str, Check] = {
    "xgboost:Booster": xgboost,
    "lightgbm:Booster": lightgbm,
    **dict.fromkeys(
        ("catboost:CatBoost", "catboost:CatBoostClassifier", "catboost:CatBoostRegressor",
         "catboost:CatBoostRanker"),
        catboost,
    ),
}  # fmt: skip
"""As `invariants.CHECKS`."""


def _bytes(node: Node, library: str, check: Callable[[bytes], None]) -> Iterator[Scan]:
    if node is None:
        return
    content = raw(node)
    if content is None:
        raise InvariantError(f"the string is no model of {library}")
    yield Scan(content, 1, _whole(library, check))


def _whole(library: str, check: Callable[[bytes], None]) -> Rule:
    data = bytearray()
    while piece := (yield):
        data += piece
        require(len(data) <= limits.NATIVE_BYTES, f"the model of {library} is too large")
    try:
        check(bytes(data))
    except Malformed as problem:
        raise InvariantError(problem.message) from None


def _check_xgboost(data: bytes) -> None:
    require(_XGBOOST.match(data) is not None, "the string is no model of XGBoost")
    if data.startswith(b"{"):
        formats_xgboost.check_saved(data)
        return
    if data.startswith(_OFFSET):
        start = len(_OFFSET) + _LENGTH.size
        require(len(data) >= start, "the model of XGBoost ends too early")
        (size,) = _LENGTH.unpack(data[len(_OFFSET) : start])
        require(0 < size < len(data) - start, "the model of XGBoost ends too early")
        data = data[start : start + size]
    xgboost_binary.read(data)


def _check_catboost(data: bytes) -> None:
    require(data.startswith(b"CBM1"), "the string is no model of CatBoost")
    catboost_file.read(data)
