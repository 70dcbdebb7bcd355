"""States of arrays, sparse matrices and random generators.

Sources: skops/io/_numpy.py, _scipy.py and old/_numpy_v1.py; scipy/sparse/_matrix_io.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..allowlist import standing
from ..arrays import dict_get, scalar, view
from ..dtypes import shape_of
from ..machine import malformed
from ..nodes import Dct, Malformed, Node, Obj, Payload
from . import npy
from .states import State, States, content, require

_SCALAR = re.compile(
    r"numpy:(bool_?|u?int(8|16|32|64|c|p|_)?|u?(byte|short|long(long)?)|(float|complex)\d{1,3}"
    r"|half|single|double|c(single|double)|c?longdouble|str_|bytes_|(datetime|timedelta)64)"
)
_SPARSE = re.compile(r"([a-z]{3})_(matrix|array)")
_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
_SEED = {"entropy", "spawn_key", "pool_size", "n_children_spawned"}
_POOL = 64  # numpy's own is of four numbers; it claims memory


def _array(s: States, state: State) -> Node:
    if content(state, "type") == "json":
        return _of_objects(s, state)
    array = s.file(state, "npy")
    named = f"{state.get('__module__')}:{state.get('__class__')}"
    if named == "numpy:ndarray":
        return array
    if array.shape == () and _SCALAR.fullmatch(named):
        if standing(named) == "known":  # newer skops trusts it by the name that numpy has by then
            s.note(s.implied(state, named))
        found = view(array)
        values = found.values() if found else None
        return array if values is None else values[0]
    return s.make("call", s.name(state), array)


def _of_objects(s: States, state: State) -> Node:
    """An array of objects, which lie in lists as deep as it has dimensions."""
    require(state, "numpy:ndarray")
    states = content(state)
    if not isinstance(states, list):
        raise malformed("the items of an array are no list")
    items = [s.read(item) for item in states]
    shape = shape_of(s.read(content(state, "shape")))
    if not shape:
        raise malformed("an array of objects has no shape")
    return npy.of_objects(_flat(items, shape), shape)


def _flat(items: Node, shape: tuple[int, ...]) -> list[Node]:
    if not isinstance(items, list) or len(items) != shape[0]:
        raise malformed("the shape of an array of objects is not that of its items")
    if len(shape) == 1:
        return items
    return [value for item in items for value in _flat(item, shape[1:])]


def _masked(s: States, state: State) -> Node:
    require(state, "numpy.ma:MaskedArray", "numpy.ma.core:MaskedArray")
    cls, held = s.name(state), content(state)
    data, mask = (s.read(content(held, part)) for part in ("data", "mask"))
    return Obj("call", cls, (data, mask), cls.offset, cls.opcode)


def _dtype(s: States, state: State) -> Node:
    require(state, "numpy:dtype")
    array = s.read(content(state))
    if not isinstance(array, Payload):
        raise malformed("a dtype is told by no array")
    told = npy.dtype_of(array)
    made = s.make("call", s.name(state), *told.args)
    made.states, made.dtype = told.states, told.dtype
    return made


def _sparse(s: States, state: State) -> Node:
    """As scipy pickles a matrix: its class made anew, its arrays and `_shape` as attributes."""
    arrays = dict(s.file(state, "npz"))
    cls = s.name(state)
    kind = _SPARSE.fullmatch(cls.name)
    told, shape = _values(arrays.pop("format", None)), _values(arrays.pop("shape", None))
    is_array = _values(arrays.pop("_is_array", None))
    # Loading believes the file and not the state.
    if kind is None or [scalar(value) for value in told] != [kind[1]]:
        raise Malformed("unexpected-class", f"the matrix in the file is no {cls.name}")
    if is_array != ([True] if kind[2] == "array" else []):
        raise Malformed("unexpected-class", f"the matrix in the file is no {kind[2]}")
    made = s.make("new", cls)
    attributes = {"_shape": tuple(shape), **arrays}
    made.states.append(Dct(list(attributes), list(attributes.values())))
    return made


def _values(node: Node) -> list[Node]:
    array = view(node)
    return (array.values() if array else None) or []


def _random_state(s: States, state: State) -> Node:
    key = require(state, "numpy.random.mtrand:RandomState")
    return Obj("call", s.implied(state, key), (s.read(content(state)),), s.offset, "")


def _generator(s: States, state: State) -> Node:
    key = require(state, "numpy.random._generator:Generator")
    held = content(state)
    bits = s.read(content(held, "bit_generator"))
    parts = [bits]
    if s.protocol > 1:
        parts.append(s.read(content(held, "seed_seq")))
        _check_seed(parts[1])
    name = dict_get(bits, "bit_generator") if isinstance(bits, Dct) else None
    if not isinstance(name, str) or name not in _GENERATORS:
        raise Malformed("unexpected-class", "a random generator is none of numpy")
    return Obj("call", s.implied(state, key), tuple(parts), s.offset, "")


def _check_seed(seed: Node) -> None:
    if not isinstance(seed, Dct) or not all(type(k) is str and k in _SEED for k in seed.keys):
        raise malformed("the seed of a random generator is none of numpy")
    pool = dict_get(seed, "pool_size")
    if pool is not None and not (type(pool) is int and 0 < pool <= _POOL):
        raise malformed("the seed of a random generator has no pool as numpy makes it")


KINDS: dict[str, Callable[[States, State], Node]] = {
    "DTypeNode": _dtype,
    "MaskedArrayNode": _masked,
    "NdArrayNode": _array,
    "RandomGeneratorNode": _generator,
    "RandomStateNode": _random_state,
    "SparseMatrixNode": _sparse,
}
