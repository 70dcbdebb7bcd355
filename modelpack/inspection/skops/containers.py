"""States of plain values and of containers.

Source: skops/io/_general.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from .. import limits
from ..allowlist import contract_name, roles
from ..machine import malformed
from ..nodes import Dct, Global, Items, Malformed, Node
from .states import State, States, content, require

_KEYS: tuple[tuple[re.Pattern[str], Callable[[str], Node]], ...] = (
    (re.compile(r"builtins:str|numpy:str_"), str),
    (re.compile(r"builtins:int|numpy:u?int[0-9]{1,3}"), int),
    (re.compile(r"builtins:float|numpy:(float[0-9]{1,3}|longdouble)"), float),
    (re.compile(r"builtins:bool|numpy:bool_?"), lambda key: key == "true"),
)
_DECODER = json.JSONDecoder()
_LONGEST_KEY = 40  # of one that is a number


def _json(_: States, state: State) -> Node:
    require(state, "builtins:str")
    text = content(state)
    if not isinstance(text, str) or (text[:1] != '"' and len(text) > limits.INTEGER_BYTES):
        raise malformed("a plain value is no text of JSON, or a number without end")
    value, end = _DECODER.raw_decode(text)
    if isinstance(value, list | dict) or end != len(text):
        raise malformed("a plain value is none, or is more than one")
    return value


def _dict(s: States, state: State) -> Node:
    pairs = _pairs(s, state)
    if _names(state, "builtins:dict"):
        return pairs
    cls = s.name(state)
    made = s.make("new" if "new" in roles(cls.key) else "call", cls)
    made.pairs = pairs
    return made


def _pairs(s: States, state: State) -> Dct:
    types = s.read(content(state, "key_types"))
    values = content(state)
    if not isinstance(values, dict) or not isinstance(types, list) or len(values) != len(types):
        raise malformed("a dict has not one type for each key")
    keys = [_key(cls, key) for cls, key in zip(types, values, strict=True)]
    return Dct(keys, [s.read(value) for value in values.values()])


def _key(cls: Node, key: str) -> Node:
    """The key of a dict: JSON has only strings, and loading calls the type with them."""
    named = cls.key if isinstance(cls, Global) else ""
    if named == "builtins:str":
        return key
    read = next((read for names, read in _KEYS if names.fullmatch(named)), None)
    if read is None:
        raise Malformed("unexpected-class", "the type of a key is none that keys have")
    if read is not str and len(key) > _LONGEST_KEY:
        raise malformed("a key is no number")
    return read(key)


def _bytes(s: States, state: State) -> Node:
    require(state, "builtins:bytes" if state["__loader__"] == "BytesNode" else "builtins:bytearray")
    return s.file(state, "bin")


def _default_dict(s: States, state: State) -> Node:
    require(state, "collections:defaultdict")
    held = content(state)
    main = s.read(content(held, "main"))
    factory = s.read(content(held, "default_factory"))
    if not isinstance(main, Dct):
        raise malformed("a defaultdict holds no dict")
    made = s.make("call", s.name(state), factory)
    made.pairs = main
    return made


def _list(s: States, state: State) -> Node:
    values = _values(s, state)
    return values if _names(state, "builtins:list") else s.make("call", s.name(state), values)


def _set(s: States, state: State) -> Node:
    values = _values(s, state)
    return Items(values) if _names(state, "builtins:set") else s.make("call", s.name(state), values)


def _tuple(s: States, state: State) -> Node:
    values = _values(s, state)
    if _names(state, "builtins:tuple"):
        return tuple(values)
    cls = s.name(state)
    is_named = contract_name(cls.key) == "fields"  # a named tuple
    return s.make("new" if is_named else "call", cls, *values)


def _values(s: States, state: State) -> list[Node]:
    values = content(state)
    if not isinstance(values, list):
        raise malformed("the values of a list are no list")
    return [s.read(value) for value in values]


def _names(state: State, key: str) -> bool:
    return f"{state.get('__module__')}:{state.get('__class__')}" == key


def _slice(s: States, state: State) -> Node:
    require(state, "builtins:slice")
    held = content(state)
    bounds = [content(held, bound) for bound in ("start", "stop", "step")]
    if not all(bound is None or type(bound) is int for bound in bounds):
        raise malformed("the bounds of a slice are no integers")
    return s.make("call", s.implied(state, "builtins:slice"), *bounds)


KINDS: dict[str, Callable[[States, State], Node]] = {
    "BytearrayNode": _bytes,
    "BytesNode": _bytes,
    "DefaultDictNode": _default_dict,
    "DictNode": _dict,
    "JsonNode": _json,
    "ListNode": _list,
    "SetNode": _set,
    "SliceNode": _slice,
    "TupleNode": _tuple,
}
