"""Calls by way of a helper, as the calls that the helper makes.

pandas 1.3 makes a block by the result of `functools.partial`. dill makes arrays, and looks up
types, by functions of its own. The machine admits no call of what is computed, and these functions
would call or return whatever they are given. Exactly what the two write is therefore read as the
call or name that it stands for, and judged as that. All else is refused.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from .allowlist import all_modules, roles
from .nodes import DictNode, Global, Node, ObjectNode

_PARTIAL = "functools:partial"
_BLOCK = "pandas.core.internals.blocks:new_block"
_ARRAY, _TYPE = "dill._dill:_create_array", "dill._dill:_load_type"
_FUNCTION = "dill._dill:_create_ftype"  # up to dill 0.3.4, as the next two
_MODULE, _ATTRIBUTE = "dill._dill:_import_module", "dill._dill:_get_attr"
_MAKERS = {
    "numpy.core._multiarray_umath:_reconstruct", "numpy.core.multiarray:_reconstruct",
    "numpy._core.multiarray:_reconstruct",
}  # fmt: skip
_TYPES = {
    "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range",
    "set", "slice", "str", "tuple",
}  # fmt: skip
_OTHER_TYPES = {"PartialType": _PARTIAL}


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
    if isinstance(callee, ObjectNode):
        return _of_partial(callee, args) if callee.cls.key == _PARTIAL else None
    if not isinstance(callee, Global) or callee.module != "dill._dill":
        return None
    read = _OF_DILL.get(callee.key)
    return read(callee, args) if read else None


def _of_partial(callee: ObjectNode, args: tuple[Node, ...]) -> Translation | None:
    """Read a partial of pandas as `new_block` with the number of dimensions, its only keyword."""
    if len(callee.args) != 1 or callee.kwargs is not None or len(callee.states) != 1:
        return None
    function, state = callee.args[0], callee.states[0]
    if not isinstance(function, Global) or function.key != _BLOCK or len(args) != 2:
        return None
    if not isinstance(state, tuple) or len(state) != 4 or state[0] is not function:
        return None
    _, more, keywords, attributes = state
    if more != () or not isinstance(keywords, DictNode) or keywords.keys != ["ndim"]:
        return None
    if attributes is not None and not (isinstance(attributes, DictNode) and not attributes.keys):
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
    if len(args) != 1 or type(args[0]) is not str:
        return None
    name = args[0]
    key = f"builtins:{name}" if name in _TYPES else _OTHER_TYPES.get(name)
    return Translation(Global(key, helper.offset, helper.opcode), helper) if key else None


def _partial(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Read dill's call as that of `functools.partial`, with keywords only."""
    if len(args) != 4 or not isinstance(args[0], Global) or args[0].key != _PARTIAL:
        return None
    cls, function, more, keywords = args
    if more != () or not isinstance(keywords, DictNode):
        return None
    return Translation(cls, helper, (function,), ((function, more, keywords, None),))


def _module(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Read the name of a module that has known names, as a name without an attribute. The policy
    refuses it as a value.
    """
    if len(args) != 1 or type(args[0]) is not str or args[0] not in all_modules():
        return None
    return Translation(Global(f"{args[0]}:", helper.offset, helper.opcode), helper)


def _attribute(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Read an attribute of a module as its known name. dill takes what the module does not have
    from the builtins.
    """
    if len(args) != 2 or not isinstance(args[0], Global) or type(args[1]) is not str:
        return None
    key = f"{args[0].key}{args[1]}"
    fits = args[0].is_module and roles(key) and not hasattr(builtins, args[1])
    return Translation(Global(key, helper.offset, helper.opcode), helper) if fits else None


_OF_DILL = {
    _ARRAY: _array, _ATTRIBUTE: _attribute, _FUNCTION: _partial, _MODULE: _module, _TYPE: _type,
}  # fmt: skip
