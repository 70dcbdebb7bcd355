"""Array members (`.npy`, sparse) and numeric states.

Sources: numpy/lib/format.py; skops/io/_numpy.py, _scipy.py and old/_numpy_v1.py;
scipy/sparse/_matrix_io.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..allowlist import standing
from ..nodes import DictNode, Global, Malformed, Node, ObjectNode, Payload
from ..pickle import dtypes
from ..pickle.dtypes import shape_of
from ..pickle.machine import malformed
from ..pickle.ndarrays import dict_get, layout, scalar, view
from ..stream import Reader
from .archive import Budget, Member, malformed_archive, members
from .schema import State, StateReader, content, require

SCHEMA = "schema.json"

Leaf = tuple[tuple[str, ...], Member, Reader]


def leaves(reader: Reader, budget: Budget) -> Iterator[Leaf]:
    """Yield each member with its path, and the members of matrices (.npz) instead of these.

    Offsets count the bytes of all members in sequence.
    """
    return _with_offsets(_leaves(reader, budget))


def _leaves(reader: Reader, budget: Budget) -> Iterator[Leaf]:
    for member, body in members(reader, budget):
        if member.name.endswith(".npz"):
            for inner, array in members(body, budget):
                yield (member.name, inner.name), inner, array
        else:
            yield (member.name,), member, body


def _with_offsets(unplaced: Iterator[Leaf]) -> Iterator[Leaf]:
    offset = 0
    for path, member, body in unplaced:
        body.base = offset
        offset += member.size
        yield path, member, body


def contents(reader: Reader, size: int) -> Iterator[bytes]:
    """Yield the bytes of all members of a file of `size` bytes. Offsets of `leaves` count these."""
    for _, _, body in leaves(reader, Budget(size)):
        while not body.at_end():
            yield body.buffer[body.position :]
            body.position = len(body.buffer)


def value(path: tuple[str, ...], member: Member, body: Reader) -> Node:
    """Return the array or bytes in a member. Raise Malformed if skops writes no such members."""
    suffix = path[-1].rpartition(".")[2]
    if suffix == "npy":
        return read(body, member.size)
    if suffix == "bin" and len(path) == 1:
        return body.value(member.size)
    raise malformed_archive(f"skops does not write a member named {path[-1]}")


# The header is a Python dict as numpy writes it. Other expressions, which numpy's reader would
# evaluate, are rejected.
_MAGIC = b"\x93NUMPY"
_WIDTHS = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}  # version -> bytes of the header's length
_MAX_HEADER_BYTES = 10_000  # as in numpy
_TYPE = r"'([<>|])([biufcSUVMm])(\d{1,9})(?:\[\d{0,9}[A-Za-z]{1,7}\])?'"
_FIELD = rf"\('([A-Za-z0-9_]{{0,64}})', {_TYPE}(?:, \((\d{{1,9}}(?:, \d{{1,9}})*),?\))?\)"
_HEADER = re.compile(
    rf"\{{'descr': (?:{_TYPE}|\[((?:{_FIELD}(?:, )?)+)\]), 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>\d{1,19},|\d{1,19}(?:, \d{1,19})+)?\), \} *\n"
)


def read(reader: Reader, size: int) -> Payload:
    """Read the array in a member of `size` bytes. Only the head of a long one is kept.

    Raises:
        Malformed: numpy does not write such an array, it contains objects, or it is truncated.
    """
    start = reader.offset
    payload, count, _ = layout(_wrapper(*_described(_header(reader))))
    if count is None or reader.offset - start + count != size:
        raise _broken("its shape and dtype do not fit the number of its bytes")
    payload.data = reader.value(count)
    return payload


def object_array(items: list[Node], shape: tuple[int, ...]) -> Payload:
    """Return an array of objects in C order."""
    dtype = _header_dtype("O8", (3, "|", None, None, None, -1, -1, 63))
    payload, _, _ = layout(_wrapper(dtype, shape, "C"))
    payload.inner = items
    return payload


def _broken(why: str) -> Malformed:
    return Malformed("broken-array", f"numpy does not save such an array: {why}")


def _header(reader: Reader) -> re.Match[str]:
    start = reader.take(8)
    width = _WIDTHS.get(start[6:])
    if start[:6] != _MAGIC or width is None:
        raise _broken("it does not begin like a .npy file")
    length = int.from_bytes(reader.take(width), "little")
    if length > _MAX_HEADER_BYTES:
        raise _broken(f"its header is longer than {_MAX_HEADER_BYTES:,} bytes")
    header = _HEADER.fullmatch(reader.take(length).decode("latin-1"))
    if header is None:
        raise _broken("its header is not that of an array without objects")
    return header


def _described(header: re.Match[str]) -> tuple[ObjectNode, tuple[int, ...], str]:
    order, kind, size, fields = header.group(1, 2, 3, 4)
    dtype = _structured(fields) if fields else _plain(order, kind, int(size))
    if dtype.dtype is None:
        raise _broken("its dtype does not exist in numpy")
    shape = tuple(map(int, re.findall(r"\d+", header["shape"] or "")))
    return dtype, shape, "F" if header["order"] == "True" else "C"


def _wrapper(dtype: ObjectNode, shape: tuple[int, ...], order: str) -> ObjectNode:
    state = {
        "subclass": _implied_global("numpy:ndarray"),
        "shape": shape,
        "order": order,
        "dtype": dtype,
    }
    wrapper = ObjectNode("new", _implied_global("numpy:ndarray"), (), 0, "")
    wrapper.states.append(DictNode(list(state), list(state.values())))
    return wrapper


def _implied_global(key: str) -> Global:
    """Return a global that the format implies, but the file does not contain."""
    return Global(key, 0, "")


def _plain(order: str, kind: str, size: int) -> ObjectNode:
    itemsize = size * (4 if kind == "U" else 1) if kind in "SUV" else -1
    return _header_dtype(f"{kind}{size}", (3, order, None, None, None, itemsize, -1, 0))


def _structured(fields: str) -> ObjectNode:
    names, kinds, offset = [], [], 0
    for name, order, kind, size, shape in re.findall(_FIELD, fields):
        part = _plain(order, kind, int(size))
        if shape:
            part = _subarray(part, tuple(map(int, shape.split(", "))))
        if name or kind != "V":  # a "V" without a name is padding
            names.append(name)
            kinds.append((part, offset))
        offset += part.dtype.itemsize if part.dtype else 0
    state = (3, "|", None, tuple(names), DictNode([*names], [*kinds]), offset, 1, 16)
    return _header_dtype(f"V{offset}", state)


def _subarray(base: ObjectNode, shape: tuple[int, ...]) -> ObjectNode:
    size = base.dtype.itemsize if base.dtype else 0
    for length in shape:
        size *= length
    return _header_dtype(f"V{size}", (3, "|", (base, shape), None, None, size, -1, 0))


def _header_dtype(code: str, state: tuple[Node, ...]) -> ObjectNode:
    """Return a dtype as a pickle contains it."""
    node = ObjectNode(
        "call", _implied_global(dtypes.DTYPE), (code, False, True), 0, "", states=[state]
    )
    node.dtype = dtypes.read(node)
    return node


_SCALAR = re.compile(
    r"numpy:(bool_?|u?int(8|16|32|64|c|p|_)?|u?(byte|short|long(long)?)|(float|complex)\d{1,3}"
    r"|half|single|double|c(single|double)|c?longdouble|str_|bytes_|(datetime|timedelta)64)"
)
_SPARSE = re.compile(r"([a-z]{3})_(matrix|array)")
_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
_SEED = {"entropy", "spawn_key", "pool_size", "n_children_spawned"}
_MAX_POOL = 64  # numbers; numpy uses four, and allocates memory for any number


def _array(s: StateReader, state: State) -> Node:
    if content(state, "type") == "json":
        return _object_array(s, state)
    array = s.file(state, "npy")
    named = f"{state.get('__module__')}:{state.get('__class__')}"
    if named == "numpy:ndarray":
        return array
    if array.shape == () and _SCALAR.fullmatch(named):
        if standing(named) == "known":  # skops looks it up by the name in the current numpy
            s.trace.add(s.implied(state, named))
        values = _values(array)
        return values[0] if values else array
    return s.create("call", s.name(state), array)


def _object_array(s: StateReader, state: State) -> Node:
    """Read an array of objects, which is a list nested to the number of its dimensions."""
    require(state, "numpy:ndarray")
    states = content(state)
    if not isinstance(states, list):
        raise malformed("the items of an array are not a list")
    items = [s.read(item) for item in states]
    shape = shape_of(s.read(content(state, "shape")))
    if not shape:
        raise malformed("an array of objects has no shape")
    return object_array(_flat(items, shape), shape)


def _flat(items: Node, shape: tuple[int, ...]) -> list[Node]:
    if not isinstance(items, list) or len(items) != shape[0]:
        raise malformed("the shape of an array of objects does not fit its items")
    if len(shape) == 1:
        return items
    return [value for item in items for value in _flat(item, shape[1:])]


def _masked(s: StateReader, state: State) -> Node:
    require(state, "numpy.ma:MaskedArray", "numpy.ma.core:MaskedArray")
    cls, fields = s.name(state), content(state)
    data, mask = (s.read(content(fields, part)) for part in ("data", "mask"))
    return ObjectNode("call", cls, (data, mask), cls.offset, cls.opcode)


def _dtype(s: StateReader, state: State) -> Node:
    require(state, "numpy:dtype")
    array = s.read(content(state))
    if not isinstance(array, Payload):
        raise malformed("a dtype has no array")
    dtype: ObjectNode = dict_get(array.wrapper.states[0], "dtype")
    node = s.create("call", s.name(state), *dtype.args)
    node.states, node.dtype = dtype.states, dtype.dtype
    return node


def _sparse(s: StateReader, state: State) -> Node:
    """Return a matrix as scipy pickles it: an instance with arrays and `_shape` as attributes."""
    arrays = dict(s.file(state, "npz"))
    cls = s.name(state)
    kind = _SPARSE.fullmatch(cls.name)
    formats, shape = _values(arrays.pop("format", None)), _values(arrays.pop("shape", None))
    is_array = _values(arrays.pop("_is_array", None))
    # Loading uses the class of the matrix in the file, not that in the state.
    if kind is None or [scalar(value) for value in formats] != [kind[1]]:
        raise Malformed("unexpected-class", f"the matrix in the file is not a {cls.name}")
    if is_array != ([True] if kind[2] == "array" else []):
        raise Malformed("unexpected-class", f"the matrix in the file is not a {kind[2]}")
    node = s.create("new", cls)
    attributes = {"_shape": tuple(shape), **arrays}
    node.states.append(DictNode(list(attributes), list(attributes.values())))
    return node


def _values(node: Node) -> list[Node]:
    array = view(node)
    return (array.values() if array else None) or []


def _random_state(s: StateReader, state: State) -> Node:
    key = require(state, "numpy.random.mtrand:RandomState")
    return ObjectNode("call", s.implied(state, key), (s.read(content(state)),), s.offset, "")


def _generator(s: StateReader, state: State) -> Node:
    key = require(state, "numpy.random._generator:Generator")
    fields = content(state)
    bits = s.read(content(fields, "bit_generator"))
    parts = [bits]
    if s.protocol > 1:
        parts.append(s.read(content(fields, "seed_seq")))
        _check_seed(parts[1])
    name = dict_get(bits, "bit_generator") if isinstance(bits, DictNode) else None
    if not isinstance(name, str) or name not in _GENERATORS:
        raise Malformed("unexpected-class", "numpy has no such random generator")
    return ObjectNode("call", s.implied(state, key), tuple(parts), s.offset, "")


def _check_seed(seed: Node) -> None:
    if not isinstance(seed, DictNode) or not all(type(k) is str and k in _SEED for k in seed.keys):
        raise malformed("the seed of a random generator is not one of numpy")
    pool = dict_get(seed, "pool_size")
    if pool is not None and not (type(pool) is int and 0 < pool <= _MAX_POOL):
        raise malformed("the pool size of a random seed is out of range")


ARRAY_STATE_READERS: dict[str, Callable[[StateReader, State], Node]] = {
    "DTypeNode": _dtype,
    "MaskedArrayNode": _masked,
    "NdArrayNode": _array,
    "RandomGeneratorNode": _generator,
    "RandomStateNode": _random_state,
    "SparseMatrixNode": _sparse,
}
