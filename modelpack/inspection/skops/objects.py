"""States of containers, classes and objects.

Sources: skops/io/_general.py, _sklearn.py, _quantile_forest.py and old/_general_v0.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from .. import limits
from ..allowlist import contract_name, roles
from ..nodes import DictNode, Global, Items, Malformed, Node, ObjectNode
from ..pickle.machine import malformed
from .schema import State, States, content, require

_LOSSES = {"_loss", "sklearn._loss._loss", "sklearn.linear_model._sgd_fast"}
_TREE = "sklearn.tree._tree:Tree"
_QUANTILE_FOREST = "quantile_forest._quantile_forest_fast:QuantileForest"


def _function(s: States, state: State) -> Node:
    if s.protocol > 0:
        return s.name(state)
    held = content(state)
    return s.name(state, content(held, "module_path"), content(held, "function"))


def _type(s: States, state: State) -> Node:
    return s.name(state)


def _method(s: States, state: State) -> Node:
    held = content(state)
    owner, name = s.read(content(held, "obj")), content(held, "func")
    if not isinstance(owner, ObjectNode) or not isinstance(name, str) or not name.isidentifier():
        raise malformed("a method has no object or no name")
    require(state, owner.cls.key)
    s.note(s.implied(state, f"{owner.cls.key}.{name}"))
    return s.make("call", s.implied(state, "builtins:getattr"), owner, name)


def _partial(s: States, state: State) -> Node:
    require(state, "functools:partial")
    held = content(state)
    parts = [s.read(content(held, part)) for part in ("func", "args", "kwds", "namespace")]
    made = s.make("call", s.name(state), parts[0])
    made.states.append(tuple(parts))
    return made


def _constructor(s: States, state: State) -> Node:
    args = s.read(content(state))
    if not isinstance(args, tuple):
        raise malformed("the arguments of a call are no tuple")
    return s.make("call", s.name(state), *args)


def _object(s: States, state: State) -> Node:
    cls = s.name(state)
    maker = f"{cls.module}:newObj"
    if "new" not in roles(cls.key) and roles(maker):
        made = s.make("call", s.implied(state, maker), cls)  # as classes of Cython are pickled
    else:
        made = s.make("new", cls)
    if state.get("content") is not None:
        attributes = s.read(state["content"])
        made.states += [] if attributes is None else [attributes]
    return made


def _tree(s: States, state: State) -> Node:
    require(state, _TREE)
    return _reduced(s, state)


def _loss(s: States, state: State) -> Node:
    if state.get("__module__") not in _LOSSES:
        raise Malformed("unexpected-class", "a loss is of a module that has no losses")
    return _reduced(s, state)


def _quantile_forest(s: States, state: State) -> Node:
    require(state, _QUANTILE_FOREST)
    return _reduced(s, state)


def _reduced(s: States, state: State) -> Node:
    """What a class makes of arguments, and then of a state unless that is empty."""
    attributes = s.read(content(state))
    args = s.read(content(content(state, "__reduce__"), "args"))
    if not isinstance(args, tuple):
        raise malformed("the arguments of a call are no tuple")
    made = s.make("call", s.name(state), *args)
    empty = attributes is None or attributes == () or _is_empty(attributes)
    made.states += [] if empty else [attributes]
    return made


def _is_empty(node: Node) -> bool:
    return isinstance(node, DictNode) and not node.keys


def _operator(s: States, state: State) -> Node:
    # A function of the module `operator` is made and called: the policy bans all of them.
    args = s.read(content(state, "attrs"))
    return s.make("call", s.name(state), args)


OBJECT_READERS: dict[str, Callable[[States, State], Node]] = {
    "ConstructorFromReduceNode": _constructor,
    "FunctionNode": _function,
    "LossNode": _loss,
    "MethodNode": _method,
    "ObjectNode": _object,
    "OperatorFuncNode": _operator,
    "PartialNode": _partial,
    "QuantileForestNode": _quantile_forest,
    "TreeNode": _tree,
    "TypeNode": _type,
}


# Source: skops/io/_general.py.
_KEYS: tuple[tuple[re.Pattern[str], Callable[[str], Node]], ...] = (
    (re.compile(r"builtins:str|numpy:str_"), str),
    (re.compile(r"builtins:int|numpy:u?int[0-9]{1,3}"), int),
    (re.compile(r"builtins:float|numpy:(float[0-9]{1,3}|longdouble)"), float),
    (re.compile(r"builtins:bool|numpy:bool_?"), lambda key: key == "true"),
)
_DECODER = json.JSONDecoder()
_MAX_KEY_LENGTH = 40  # of one that is a number


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


def _pairs(s: States, state: State) -> DictNode:
    types = s.read(content(state, "key_types"))
    values = content(state)
    if not isinstance(values, dict) or not isinstance(types, list) or len(values) != len(types):
        raise malformed("a dict has not one type for each key")
    keys = [_key(cls, key) for cls, key in zip(types, values, strict=True)]
    return DictNode(keys, [s.read(value) for value in values.values()])


def _key(cls: Node, key: str) -> Node:
    """The key of a dict: JSON has only strings, and loading calls the type with them."""
    named = cls.key if isinstance(cls, Global) else ""
    if named == "builtins:str":
        return key
    read = next((read for names, read in _KEYS if names.fullmatch(named)), None)
    if read is None:
        raise Malformed("unexpected-class", "the type of a key is none that keys have")
    if read is not str and len(key) > _MAX_KEY_LENGTH:
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
    if not isinstance(main, DictNode):
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


CONTAINER_READERS: dict[str, Callable[[States, State], Node]] = {
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
