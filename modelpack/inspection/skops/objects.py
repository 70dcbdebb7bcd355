"""States of functions, classes and objects.

Sources: skops/io/_general.py, _sklearn.py, _quantile_forest.py and old/_general_v0.py.
"""

from __future__ import annotations

from collections.abc import Callable

from ..allowlist import roles
from ..machine import malformed
from ..nodes import Dct, Malformed, Node, Obj
from .states import State, States, content, require

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
    if not isinstance(owner, Obj) or not isinstance(name, str) or not name.isidentifier():
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
    return isinstance(node, Dct) and not node.keys


def _operator(s: States, state: State) -> Node:
    # A function of the module `operator` is made and called: the policy bans all of them.
    args = s.read(content(state, "attrs"))
    return s.make("call", s.name(state), args)


KINDS: dict[str, Callable[[States, State], Node]] = {
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
