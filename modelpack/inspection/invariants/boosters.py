"""Models of other libraries, which read them out of a string with code of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..nodes import Blob, Node, Obj
from .lightgbm import model
from .objects import Broken, attributes, raw, require
from .scans import Scan

_XGBOOST = re.compile(
    rb"\{[LlIiU$\"]"  # UBJSON, and JSON of before 2.1
    rb"|CONFIG-offset:"  # of before 1.4
    rb"|(binf)?.{136}[\x01-\x40]\0{7}[a-z]+(:[a-z]+)?",  # of before 1.0
    re.DOTALL,
)


def xgboost(made: Obj) -> Iterator[Scan]:
    """`handle` is what `XGBoosterSerializeToBuffer` gives; only its beginning is looked at."""
    node = attributes(made).get("handle")
    if node is not None:
        require(_XGBOOST.match(_head(node)) is not None, "the string is no model of XGBoost")
    yield from ()


def catboost(made: Obj) -> Iterator[Scan]:
    node = attributes(made).get("__model")
    if node is not None:
        require(_head(node).startswith(b"CBM1"), "the string is no model of CatBoost")
    yield from ()


def lightgbm(made: Obj) -> Iterator[Scan]:
    """`_handle`, before LightGBM 4 `handle`, is the text of a model."""
    state = attributes(made)
    for node in (state.get("_handle"), state.get("handle")):
        if isinstance(node, str):
            yield Scan(node.encode("utf-8", "surrogatepass"), 1, model(), text=True)
        elif isinstance(node, Blob) and node.codec:
            yield Scan(node, 1, model(), text=True)
        elif node is not None:
            raise Broken("the string is no model of LightGBM")


def _head(node: Node) -> bytes:
    content = raw(node)
    if isinstance(content, Blob):
        is_utf8 = content.codec == "utf-8"
        text = content.head.decode("utf-8", "ignore") if is_utf8 else ""
        return text.encode("latin-1", "replace") if is_utf8 else content.head
    return content or b""
