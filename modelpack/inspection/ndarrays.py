"""The states of pickled numpy arrays and random generators, which compiled code believes.

Formats: numpy/_core/src/multiarray/methods.c, `array_setstate`, (version, shape, dtype, is_fortran,
content), and numpy/ma/core.py, `MaskedArray.__setstate__`, with two values more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import dtypes
from .nodes import Blob, Dct, Malformed, Node, Obj

_MAKERS = {"_reconstruct", "_mareconstruct"}
_LENGTHS = {5, 7}
_MOST_BYTES = 2**62
_POSITIONS = {"pos": 624, "buffer_pos": 4}  # of MT19937, of Philox


def check_state(made: Obj, state: Node) -> None:
    """Is called when the state is set, for a list may grow later: numpy reads as many values from
    it as the shape tells, without asking how many there are.

    Raises:
        Malformed: `made` is an array, and the state is not one that numpy writes.
    """
    if made.cls.name in _MAKERS and made.cls.module.startswith("numpy.") and not _fits(state):
        message = "the dtype, the shape and the values of an array do not fit together"
        raise Malformed("broken-array", message)


def _fits(state: Node) -> bool:
    if not isinstance(state, tuple) or len(state) not in _LENGTHS:
        return False
    dtype, shape, content = dtypes.parse(state[2]), dtypes.shape_of(state[1]), state[4]
    if dtype is None or shape is None or dtypes.is_subarray(state[2]):
        return False
    count = math.prod(shape)
    if dtype.has_objects:
        return isinstance(content, list) and len(content) == count
    if isinstance(content, bytes):
        return len(content) == count * dtype.itemsize
    # Text that stands for bytes, its length unknown here: numpy compares it.
    return isinstance(content, str | Blob | Obj) and count * dtype.itemsize < _MOST_BYTES


def is_random_state(made: Obj) -> bool:
    """Whether the states of a random generator tell no position beyond its buffer."""
    return all(_is_position(key, value) for state in made.states for key, value in _facts(state))


def _is_position(key: Node, value: Node) -> bool:
    if not isinstance(key, str):
        return False
    most = _POSITIONS.get(key)
    return most is None or (isinstance(value, int) and 0 <= value <= most)


def _facts(state: Node) -> Iterator[tuple[Node, Node]]:
    """The keys and values of a state: a dict in a dict, alone or first in a tuple; before numpy
    1.17 the tuple ("MT19937", key, position, ...).
    """
    if isinstance(state, tuple) and state and isinstance(state[0], str):
        yield from zip(("name", "key", "pos"), state, strict=False)
    elif isinstance(state, tuple) and state:
        yield from _facts(state[0])
    elif isinstance(state, Dct):
        for key, value in zip(state.keys, state.values, strict=True):
            yield key, value
            if isinstance(value, Dct) and value is not state:
                yield from zip(value.keys, value.values, strict=True)
