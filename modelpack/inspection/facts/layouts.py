"""Facts of how a file is laid out that only some releases of a library can read, whatever version
the file records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..contracts import class_key
from ..machine import Trace
from ..nodes import Global, Obj
from ..payloads import WRAPPERS
from .parts import attributes

_NODES = {"left_child", "right_child"}
_BIT_GENERATOR = "numpy.random._pickle:__bit_generator_ctor"
_GENERATORS = {"numpy.random._pickle:__randomstate_ctor", "numpy.random._pickle:__generator_ctor"}


def evidence(trace: Trace) -> tuple[str, ...]:
    """The names of the layouts in the file.

    tree-nodes          nodes of a tree as scikit-learn before 1.3 has them
    tree-nodes-1.3      and since: missing values have a side to go to (sklearn/tree/_tree.pxd)
    aligned-arrays      arrays padded as joblib does since 1.2
    random-state-1.24   random generators as numpy 1.24 to 1.26 saves them: with a constructor
    random-state-2      and numpy since 2.0: with the class itself (numpy/random/_pickle.py)
    """
    return tuple(name for name, is_there in _LAYOUTS if is_there(trace.objects))


def is_aligned(made: Obj) -> bool:
    """Whether this is an array padded as joblib does since 1.2; older releases cannot read it."""
    if class_key(made) not in WRAPPERS:
        return False
    return attributes(made).get("numpy_array_alignment_bytes") is not None


def splits_missing(made: Obj) -> bool:
    """Whether these are nodes of a tree since missing values have a side to go to."""
    return "missing_go_to_left" in _fields(made) >= _NODES


def splits_none(made: Obj) -> bool:
    """Whether these are nodes of a tree before that."""
    return "missing_go_to_left" not in _fields(made) >= _NODES


def _fields(made: Obj) -> set[str]:
    return {name for name, _, _ in made.dtype.fields} if made.dtype else set()


def _names_constructor(made: Obj) -> bool:
    return made.how == "call" and made.cls.key in _GENERATORS and len(made.args) > 1


def _names_class(made: Obj) -> bool:
    is_call = made.how == "call" and made.cls.key == _BIT_GENERATOR
    return is_call and any(isinstance(argument, Global) for argument in made.args)


def _any(test: Callable[[Obj], bool]) -> Callable[[Iterable[Obj]], bool]:
    return lambda objects: any(map(test, objects))


_LAYOUTS = (
    ("tree-nodes", _any(splits_none)),
    ("tree-nodes-1.3", _any(splits_missing)),
    ("aligned-arrays", _any(is_aligned)),
    ("random-state-1.24", _any(_names_constructor)),
    ("random-state-2", _any(_names_class)),
)
