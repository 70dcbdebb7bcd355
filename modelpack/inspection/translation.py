"""Translation of calls of helper functions to the calls that the helpers make.

pandas 1.3 creates a block by calling a `functools.partial`, and Python a `ZoneInfo` by calling the
result of `getattr`. dill creates arrays and looks up types
through its helper functions. The machine does not allow calls of computed values, and the helpers
call or return any argument. Exactly the forms that they write are therefore read as
the call or name that results, and judged as that. All other forms are refused.
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
_RECONSTRUCT = {
    "numpy.core._multiarray_umath:_reconstruct", "numpy.core.multiarray:_reconstruct",
    "numpy._core.multiarray:_reconstruct",
}  # fmt: skip
ZONE = ("zoneinfo:ZoneInfo", "_unpickle")
"""The class, and its method that Python reads by `getattr` and calls with the name of a zone."""

_GETATTR = {"builtins:getattr", "__builtin__:getattr"}
_TYPES = {
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object",
    "range", "set", "slice", "str", "tuple",
}  # fmt: skip
_OTHER_TYPES = {"PartialType": _PARTIAL}


@dataclass(frozen=True)
class Translation:
    """The call or name that a helper call results in.

    Attributes:
        name: The name that is looked up or called.
        used: The names of the helper, which are then used.
        args: The arguments of the call. None if the result is the name itself.
        states: States that are set on the result.
    """

    name: Global
    used: tuple[Global, ...]
    args: tuple[Node, ...] | None = None
    states: tuple[Node, ...] = ()


def translated(callee: Node, args: Node) -> Translation | None:
    """Return the translation of a call. None if it is not a helper call in a known form.

    `callee` is a name, or the result of a call.
    """
    if not isinstance(args, tuple):
        return None
    if isinstance(callee, ObjectNode):
        return _pandas_block(callee, args) if callee.cls.key == _PARTIAL else _zone(callee, args)
    if not isinstance(callee, Global) or callee.module != "dill._dill":
        return None
    read = _DILL_HELPERS.get(callee.key)
    return read(callee, args) if read else None


def _pandas_block(callee: ObjectNode, args: tuple[Node, ...]) -> Translation | None:
    """Translate the partial of pandas to `new_block` with its only keyword, `ndim`."""
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
    return Translation(function, (callee.cls,), (*args, keywords.values[0]))


def _zone(callee: ObjectNode, args: tuple[Node, ...]) -> Translation | None:
    """Translate to a call of the class method `ZoneInfo._unpickle`, by its own name."""
    if callee.cls.key not in _GETATTR or len(callee.args) != 2 or callee.states:
        return None
    owner, name = callee.args
    if not isinstance(owner, Global) or type(name) is not str or (owner.key, name) != ZONE:
        return None
    method = Global(f"{owner.key}.{name}", owner.offset, owner.opcode)
    return Translation(method, (callee.cls, owner), args)


def _array(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Translate to the call of numpy's function, and the state of its result."""
    if len(args) not in (3, 4) or args[3:] not in ((), (None,)):
        return None
    function, arguments, state = args[:3]
    if not isinstance(function, Global) or function.key not in _RECONSTRUCT:
        return None
    fits = isinstance(arguments, tuple)
    return Translation(function, (helper,), arguments, (state,)) if fits else None


def _type(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Translate the name of a type to the type."""
    if len(args) != 1 or type(args[0]) is not str:
        return None
    name = args[0]
    key = f"builtins:{name}" if name in _TYPES else _OTHER_TYPES.get(name)
    return Translation(Global(key, helper.offset, helper.opcode), (helper,)) if key else None


def _partial(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Translate to a call of `functools.partial` with keywords only."""
    if len(args) != 4 or not isinstance(args[0], Global) or args[0].key != _PARTIAL:
        return None
    cls, function, more, keywords = args
    if more != () or not isinstance(keywords, DictNode):
        return None
    return Translation(cls, (helper,), (function,), ((function, more, keywords, None),))


def _module(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Translate the name of a module with known names to a global without an attribute.

    The policy refuses such a global as a value.
    """
    if len(args) != 1 or type(args[0]) is not str or args[0] not in all_modules():
        return None
    return Translation(Global(f"{args[0]}:", helper.offset, helper.opcode), (helper,))


def _attribute(helper: Global, args: tuple[Node, ...]) -> Translation | None:
    """Translate an attribute of a module to its known name.

    dill looks up names that the module does not have in the builtins, so these are excluded.
    """
    if len(args) != 2 or not isinstance(args[0], Global) or type(args[1]) is not str:
        return None
    key = f"{args[0].key}{args[1]}"
    fits = args[0].is_module and roles(key) and not hasattr(builtins, args[1])
    return Translation(Global(key, helper.offset, helper.opcode), (helper,)) if fits else None


_DILL_HELPERS = {
    _ARRAY: _array, _ATTRIBUTE: _attribute, _FUNCTION: _partial, _MODULE: _module, _TYPE: _type,
}  # fmt: skip
