"""Calls by way of a helper, as the calls that the helper makes.

pandas 1.3 makes a block by the result of `functools.partial`. dill makes arrays, and looks up
types, by functions of its own. The machine admits no call of what is computed, and these functions
would call or return whatever they are given. Exactly what the two write is therefore read as the
call or name that it stands for, and judged as that. All else is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from .nodes import Dct, Global, Node, Obj

_PARTIAL = "functools:partial"
_BLOCK = "pandas.core.internals.blocks:new_block"
_ARRAY, _TYPE = "dill._dill:_create_array", "dill._dill:_load_type"
_MAKERS = {"numpy.core.multiarray:_reconstruct", "numpy._core.multiarray:_reconstruct"}
_TYPES = {
    "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range",
    "set", "slice", "str", "tuple",
}  # fmt: skip


@dataclass(frozen=True)
class Translation:
    """What a call stands for: the name itself if `args` is None, or else the call of it, and the
    states that the result is given. `used`: the name of the helper, which is no value.
    """

    name: Global
    used: Global
    args: tuple[Node, ...] | None = None
    states: tuple[Node, ...] = ()


def translated(callee: Node, args: Node) -> Translation | None:
    """Return what a call stands for, or None if it is that of no helper, or not as these write it.

    Args:
        callee: What is called: a name, or what a call returned.
        args: Its arguments.
    """
    if not isinstance(args, tuple):
        return None
    if isinstance(callee, Obj):
        return _of_partial(callee, args) if callee.cls.key == _PARTIAL else None
    if not isinstance(callee, Global) or callee.module != "dill._dill":
        return None
    if callee.key == _ARRAY:
        return _array(callee, args)
    return _type(callee, args) if callee.key == _TYPE else None


def _of_partial(callee: Obj, args: tuple[Node, ...]) -> Translation | None:
    """Read a partial of pandas as `new_block` with the number of dimensions, its only keyword."""
    if len(callee.args) != 1 or callee.kwargs is not None or len(callee.states) != 1:
        return None
    function, state = callee.args[0], callee.states[0]
    if not isinstance(function, Global) or function.key != _BLOCK or len(args) != 2:
        return None
    if not isinstance(state, tuple) or len(state) != 4 or state[0] is not function:
        return None
    _, more, keywords, attributes = state
    if more != () or not isinstance(keywords, Dct) or keywords.keys != ["ndim"]:
        return None
    if attributes is not None and not (isinstance(attributes, Dct) and not attributes.keys):
        return None
    return Translation(function, callee.cls, (*args, keywords.values[0]))


def _array(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Read dill's call as that of numpy's function, the result of which is given the state."""
    if len(args) not in (3, 4) or args[3:] not in ((), (None,)):
        return None
    maker, arguments, state = args[:3]
    fits = isinstance(maker, Global) and maker.key in _MAKERS and isinstance(arguments, tuple)
    return Translation(maker, helper, arguments, (state,)) if fits else None


def _type(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Read the name of a type as that type."""
    if len(args) != 1 or type(args[0]) is not str or args[0] not in _TYPES:
        return None
    return Translation(Global(f"builtins:{args[0]}", helper.offset, helper.opcode), helper)
