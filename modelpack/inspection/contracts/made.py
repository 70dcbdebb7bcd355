"""Of which class an object is, however the protocol at hand made it."""

from __future__ import annotations

from ..nodes import Global, Node, Obj


def made_class(made: Obj) -> Node:
    """The class of an object: of protocols 0 and 1, the first argument of `_reconstructor`."""
    is_old = made.cls.name == "_reconstructor" and made.cls.module in {"copyreg", "copy_reg"}
    return made.args[0] if is_old and made.args else made.cls


def is_made(made: Obj) -> bool:
    """Whether it is an object of `made_class`, and not what a call of that returned."""
    return made.how == "new" or made_class(made) is not made.cls


def is_bare(made: Obj) -> bool:
    """Whether it is made without arguments; those of a call are its callable's."""
    return made.how == "call" or (made.args == () and made.kwargs is None)


def class_key(made: Obj) -> str:
    """The "module:name" of `made_class`; "" of one that is no name."""
    cls = made_class(made)
    return cls.key if isinstance(cls, Global) else ""
