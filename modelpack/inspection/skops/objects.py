"""StateReader of containers, classes and objects.

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
from .schema import State, StateReader, content, require

_LOSSES = {"_loss", "sklearn._loss._loss", "sklearn.linear_model._sgd_fast"}
_TREE = "sklearn.tree._tree:Tree"
_QUANTILE_FOREST = "quantile_forest._quantile_forest_fast:QuantileForest"


def _function(s: StateReader, state: State) -> Node:
    if s.protocol > 0:
        return s.name(state)
    fields = content(state)
    return s.name(state, content(fields, "module_path"), content(fields, "function"))


def _type(s: StateReader, state: State) -> Node:
    return s.name(state)


def _method(s: StateReader, state: State) -> Node:
    fields = content(state)
    owner, name = s.read(content(fields, "obj")), content(fields, "func")
    if not isinstance(owner, ObjectNode) or not isinstance(name, str) or not name.isidentifier():
        raise malformed("a method has no object or no name")
    require(state, owner.cls.key)
    s.trace.add(s.implied(state, f"{owner.cls.key}.{name}"))
    return s.create("call", s.implied(state, "builtins:getattr"), owner, name)


def _partial(s: StateReader, state: State) -> Node:
    require(state, "functools:partial")
    fields = content(state)
    parts = [s.read(content(fields, part)) for part in ("func", "args", "kwds", "namespace")]
    node = s.create("call", s.name(state), parts[0])
    node.states.append(tuple(parts))
    return node


def _constructor(s: StateReader, state: State) -> Node:
    return s.create("call", s.name(state), *_arguments(s, content(state)))


def _arguments(s: StateReader, state: State) -> tuple[Node, ...]:
    args = s.read(state)
    if not isinstance(args, tuple):
        raise malformed("the arguments of a call are not a tuple")
    return args


def _object(s: StateReader, state: State) -> Node:
    cls = s.name(state)
    function = f"{cls.module}:newObj"
    if "new" not in roles(cls.key) and roles(function):
        node = s.create("call", s.implied(state, function), cls)  # as Cython pickles its classes
    else:
        node = s.create("new", cls)
    if state.get("content") is not None:
        attributes = s.read(state["content"])
        node.states += [] if attributes is None else [attributes]
    return node


def _tree(s: StateReader, state: State) -> Node:
    require(state, _TREE)
    return _reduced(s, state)


def _loss(s: StateReader, state: State) -> Node:
    if state.get("__module__") not in _LOSSES:
        raise Malformed("unexpected-class", "the module of a loss contains no losses")
    return _reduced(s, state)


def _quantile_forest(s: StateReader, state: State) -> Node:
    require(state, _QUANTILE_FOREST)
    return _reduced(s, state)


def _reduced(s: StateReader, state: State) -> Node:
    """Read the call of a class, and the state that is set on the result unless it is empty."""
    attributes = s.read(content(state))
    args = _arguments(s, content(content(state, "__reduce__"), "args"))
    node = s.create("call", s.name(state), *args)
    empty = attributes is None or attributes == () or _is_empty(attributes)
    node.states += [] if empty else [attributes]
    return node


def _is_empty(node: Node) -> bool:
    return isinstance(node, DictNode) and not node.keys


def _operator(s: StateReader, state: State) -> Node:
    # A function of the module `operator` is called: the policy bans all of them.
    args = s.read(content(state, "attrs"))
    return s.create("call", s.name(state), args)


OBJECT_READERS: dict[str, Callable[[StateReader, State], Node]] = {
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


_KEYS: tuple[tuple[re.Pattern[str], Callable[[str], Node]], ...] = (
    (re.compile(r"builtins:str|numpy:str_"), str),
    (re.compile(r"builtins:int|numpy:u?int[0-9]{1,3}"), int),
    (re.compile(r"builtins:float|numpy:(float[0-9]{1,3}|longdouble)"), float),
    (re.compile(r"builtins:bool|numpy:bool_?"), lambda key: key == "true"),
)
_DECODER = json.JSONDecoder()
_MAX_KEY_LENGTH = 40  # of a numeric key


def _json(_: StateReader, state: State) -> Node:
    require(state, "builtins:str")
    text = content(state)
    if not isinstance(text, str) or (text[:1] != '"' and len(text) > limits.INTEGER_BYTES):
        raise malformed("a scalar is not JSON text, or a number is too long")
    value, end = _DECODER.raw_decode(text)
    if isinstance(value, list | dict) or end != len(text):
        raise malformed("a scalar is a container, or more than one value")
    return value


def _dict(s: StateReader, state: State) -> Node:
    pairs = _pairs(s, state)
    if _names(state, "builtins:dict"):
        return pairs
    cls = s.name(state)
    node = s.create("new" if "new" in roles(cls.key) else "call", cls)
    node.pairs = pairs
    return node


def _pairs(s: StateReader, state: State) -> DictNode:
    types = s.read(content(state, "key_types"))
    values = content(state)
    if not isinstance(values, dict) or not isinstance(types, list) or len(values) != len(types):
        raise malformed("a dict does not have one type for each key")
    keys = [_key(cls, key) for cls, key in zip(types, values, strict=True)]
    return DictNode(keys, [s.read(value) for value in values.values()])


def _key(cls: Node, key: str) -> Node:
    """Convert the key of a dict, a string in JSON, by its type."""
    named = cls.key if isinstance(cls, Global) else ""
    if named == "builtins:str":
        return key
    read = next((read for names, read in _KEYS if names.fullmatch(named)), None)
    if read is None:
        raise Malformed("unexpected-class", "keys of dicts do not have the type of a key")
    if read is not str and len(key) > _MAX_KEY_LENGTH:
        raise malformed("a numeric key is too long")
    return read(key)


def _bytes(s: StateReader, state: State) -> Node:
    require(state, "builtins:bytes" if state["__loader__"] == "BytesNode" else "builtins:bytearray")
    return s.file(state, "bin")


def _default_dict(s: StateReader, state: State) -> Node:
    require(state, "collections:defaultdict")
    fields = content(state)
    main = s.read(content(fields, "main"))
    factory = s.read(content(fields, "default_factory"))
    if not isinstance(main, DictNode):
        raise malformed("a defaultdict contains no dict")
    node = s.create("call", s.name(state), factory)
    node.pairs = main
    return node


def _list(s: StateReader, state: State) -> Node:
    values = _values(s, state)
    return values if _names(state, "builtins:list") else s.create("call", s.name(state), values)


def _set(s: StateReader, state: State) -> Node:
    values = _values(s, state)
    return (
        Items(values) if _names(state, "builtins:set") else s.create("call", s.name(state), values)
    )


def _tuple(s: StateReader, state: State) -> Node:
    values = _values(s, state)
    if _names(state, "builtins:tuple"):
        return tuple(values)
    cls = s.name(state)
    is_named = contract_name(cls.key) == "fields"  # a named tuple
    return s.create("new" if is_named else "call", cls, *values)


def _values(s: StateReader, state: State) -> list[Node]:
    values = content(state)
    if not isinstance(values, list):
        raise malformed("the values of a list are not a list")
    return [s.read(value) for value in values]


def _names(state: State, key: str) -> bool:
    return f"{state.get('__module__')}:{state.get('__class__')}" == key


def _slice(s: StateReader, state: State) -> Node:
    require(state, "builtins:slice")
    fields = content(state)
    bounds = [content(fields, bound) for bound in ("start", "stop", "step")]
    if not all(bound is None or type(bound) is int for bound in bounds):
        raise malformed("a bound of a slice is not an integer")
    return s.create("call", s.implied(state, "builtins:slice"), *bounds)


CONTAINER_READERS: dict[str, Callable[[StateReader, State], Node]] = {
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
