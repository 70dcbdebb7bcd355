"""NumPy arrays and joblib array payloads, decoded without NumPy.

Sources: `array_setstate` in numpy/_core/src/multiarray/methods.c: (version, shape, dtype,
is_fortran, content); `MaskedArray.__setstate__` in numpy/ma/core.py: two more values;
`NumpyArrayWrapper.write_array` in joblib/numpy_pickle.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from modelpack.types import Scalar

from ..nodes import Blob, DictNode, Global, Malformed, Node, ObjectNode, Payload, class_key
from ..text import clean
from . import dtypes
from .dtypes import Dtype, parse, shape_of

_RECONSTRUCT = {"_reconstruct", "_mareconstruct"}
_LENGTHS = {5, 7}
_MAX_BYTES = 2**62
_POSITIONS = {"pos": 624, "buffer_pos": 4}  # MT19937, Philox


def check_state(node: ObjectNode, state: Node) -> None:
    """Check the state of an array, if `node` is one.

    numpy reads as many values from a list as the shape requires, without a check. A list may grow
    later, so the check runs when the state is set.

    Raises:
        Malformed: numpy does not write such a state.
    """
    if node.cls.name in _RECONSTRUCT and node.cls.module.startswith("numpy.") and not _fits(state):
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
    # Text that encodes bytes. Its length is unknown here; numpy compares it.
    return isinstance(content, str | Blob | ObjectNode) and count * dtype.itemsize < _MAX_BYTES


def is_random_state(node: ObjectNode) -> bool:
    """Return whether the positions in the states of a random generator are inside its buffer."""
    return all(_is_position(key, value) for state in node.states for key, value in _facts(state))


def _is_position(key: Node, value: Node) -> bool:
    if not isinstance(key, str):
        return False
    size = _POSITIONS.get(key)
    return size is None or (isinstance(value, int) and 0 <= value <= size)


def _facts(state: Node) -> Iterator[tuple[Node, Node]]:
    """Yield the keys and values of a state: a dict in a dict, perhaps the first item of a tuple.

    Before numpy 1.17 it is the tuple ("MT19937", key, position, ...).
    """
    if isinstance(state, tuple) and state and isinstance(state[0], str):
        yield from zip(("name", "key", "pos"), state, strict=False)
    elif isinstance(state, tuple) and state:
        yield from _facts(state[0])
    elif isinstance(state, DictNode):
        for key, value in zip(state.keys, state.values, strict=True):
            yield key, value
            if isinstance(value, DictNode) and value is not state:
                yield from zip(value.keys, value.values, strict=True)


@dataclass(frozen=True, slots=True)
class Array:
    """An array.

    Attributes:
        data: The bytes of an array without objects, or their beginning. None if not readable.
        items: The values of an array of objects.
    """

    dtype: Dtype
    shape: tuple[int, ...]
    fortran: bool
    data: bytes | None
    items: list[Node] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def values(self) -> list[Node] | None:
        """Return all values in the order of memory. None if they are not readable."""
        values = self._decoded()
        return values if values is not None and len(values) == self.size else None

    def rows(self, count: int) -> list[list[Node]]:
        """Return the first `count` rows of a matrix (n, k)."""
        if len(self.shape) != 2 or not self.size:
            return []
        values, (height, width) = self._decoded() or [], self.shape
        starts = range(min(count, height))
        rows = [values[i::height] if self.fortran else values[i * width : (i + 1) * width]
                for i in starts]  # fmt: skip
        return [row for row in rows if len(row) == width]

    def _decoded(self) -> list[Node] | None:
        if self.items is not None:
            return [scalar(item) for item in self.items]
        cells = list(self.dtype.decode(self.data) or ()) if self.data is not None else None
        return [scalar(cell) for cell in cells] if cells and self.dtype.kind == "S" else cells


def view(node: Node, level: int = 0) -> Array | None:
    """Return a node as an array: of numpy or joblib, or inside a pandas Index."""
    if isinstance(node, Payload):
        if isinstance(node.inner, list):
            return Array(node.dtype, node.shape, node.fortran, None, node.inner)
        if node.inner is not None:
            return view(node.inner, level + 1)
        return Array(node.dtype, node.shape, node.fortran, raw(node.data))
    if not isinstance(node, ObjectNode) or level > _MAX_DEPTH:
        return None
    reader = _VIEWS.get(node.cls.name)
    return reader(node, level) if reader else None


def _reconstructed(node: ObjectNode, _: int) -> Array | None:
    state = node.states[-1] if node.states else None
    if not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, dtype, fortran, data = state
    return _array(dtype, shape, fortran is True, data)


def _from_buffer(node: ObjectNode, _: int) -> Array | None:
    if len(node.args) != 4:
        return None
    data, dtype, shape, order = node.args
    return _array(dtype, shape, order == "F", data)


def _from_index(node: ObjectNode, level: int) -> Array | None:
    facts = node.args[1] if len(node.args) == 2 else None
    return view(dict_get(facts, "data"), level + 1) if isinstance(facts, DictNode) else None


def _from_extension(node: ObjectNode, level: int) -> Array | None:
    cls = node.args[0] if node.args else None
    if isinstance(cls, Global) and cls.name == "Categorical":
        return None  # its array contains codes, not values
    state = node.states[-1] if node.states else None
    parts = state if isinstance(state, tuple) else ()
    return next(filter(None, (view(part, level + 1) for part in parts)), None)


def _from_strings(node: ObjectNode, _: int) -> Array | None:
    """Decode strings that pandas stores in pyarrow: validity bits, offsets, and one buffer."""
    state = node.states[-1] if node.states else None
    facts = state if isinstance(state, DictNode) else DictNode()
    arrays = text_arrays(dict_get(facts, "_pa_array") or dict_get(facts, "_data"))
    found = [_texts(array) for array in arrays]
    if None in found:
        return None
    items = [text for texts in found for text in texts or ()]
    return Array(Dtype("O", 8, False, True), (len(items),), False, None, items)


def text_arrays(node: Node) -> list[Node]:
    """Return the arrays of pyarrow that contain the strings of pandas: the chunks, or one."""
    is_chunked = isinstance(node, ObjectNode) and node.cls.name == "chunked_array" and node.args
    return list(node.args[0]) if is_chunked and isinstance(node.args[0], list) else [node]


def _texts(array: Node) -> list[Node] | None:
    parts = array.args[0] if isinstance(array, ObjectNode) and len(array.args) == 1 else None
    if not isinstance(parts, tuple) or len(parts) != 7 or not isinstance(parts[4], list):
        return None
    kind, count, _missing, first, buffers, *_rest = parts
    bits, offsets, data = [_buffer(each) for each in (*buffers, None, None, None)][:3]
    if not (type(count) is type(first) is int) or offsets is None or data is None:
        return None
    width = 8 if isinstance(kind, ObjectNode) and kind.args == ("large_string",) else 4
    starts = [int.from_bytes(offsets[index * width : (index + 1) * width], "little")
              for index in range(first, min(first + count + 1, len(offsets) // width))]  # fmt: skip
    texts = [data[start:end].decode("utf-8", "replace") for start, end in pairwise(starts)]
    if len(texts) != count:
        return None
    return [text if _is_set(bits, first + index) else None for index, text in enumerate(texts)]


def _from_old_pickler(node: ObjectNode, level: int) -> Array | None:
    cls = node.args[0] if node.args else None
    is_texts = isinstance(cls, Global) and cls.name.startswith("ArrowStringArray")
    return _from_strings(node, level) if is_texts else None


def _buffer(node: Node) -> bytes | None:
    """Return the bytes of a pyarrow buffer, if they were kept as a whole."""
    inner = node.args[0] if isinstance(node, ObjectNode) and len(node.args) == 1 else None
    if isinstance(inner, ObjectNode) and inner.args and isinstance(inner.args[0], Blob):
        return None
    return None if isinstance(inner, Blob) else raw(inner)


def _is_set(bits: bytes | None, index: int) -> bool:
    return bits is None or (index < 8 * len(bits) and bool(bits[index // 8] >> index % 8 & 1))


_MAX_DEPTH = 4
_VIEWS: dict[str, Callable[[ObjectNode, int], Array | None]] = {
    "_reconstruct": _reconstructed,
    "_frombuffer": _from_buffer,
    "_reconstructor": _from_old_pickler,
    "ArrowStringArray": _from_strings,
    "ArrowStringArrayNumpySemantics": _from_strings,
    "_new_Index": _from_index,
    "__pyx_unpickle_NDArrayBacked": _from_extension,
}


def dict_get(node: DictNode, name: str) -> Node:
    """Return the value of a string key, or None. Keys are compared, never hashed."""
    pairs = zip(node.keys, node.values, strict=True)
    return next((value for key, value in pairs if type(key) is str and key == name), None)


def scalar(node: Node) -> Scalar:
    """Return a Python or numpy scalar as a JSON value, bytes as text. None for other nodes."""
    if isinstance(node, str):
        return clean(node)
    if isinstance(node, bool | float):
        return node
    if isinstance(node, int):
        return node if node.bit_length() < 64 else None
    if isinstance(node, bytes):
        return node.decode("utf-8", "replace")
    if isinstance(node, ObjectNode) and node.cls.name == "scalar" and len(node.args) == 2:
        dtype, data = parse(node.args[0]), raw(node.args[1])
        values = dtype.decode(data) if dtype and data else None
        return scalar(values[0]) if values else None
    return None


def _array(dtype: Node, shape: Node, fortran: bool, data: Node) -> Array | None:
    kind = parse(dtype)
    if kind is None or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        return None
    if isinstance(data, list):
        return Array(kind, shape, fortran, None, data)
    return Array(kind, shape, fortran, None if kind.has_objects else raw(data))


def raw(node: Node) -> bytes | None:
    """Return bytes as any protocol writes them. Of long ones, only the head."""
    if isinstance(node, bytes):
        return node
    if isinstance(node, str):  # bytes of Python 2, or the text inside _codecs.encode
        return node.encode("latin-1", "ignore")
    if isinstance(node, Blob):
        return node.head
    if isinstance(node, ObjectNode) and node.cls.name in {"encode", "bytes", "bytearray"}:
        inner: Node = node.args[0] if node.args else b""
        is_text = isinstance(inner, Blob) and inner.codec == "utf-8"
        return raw(inner.head.decode("utf-8", "ignore") if is_text else inner)
    return None


# joblib 1.2 and later align arrays in the file: a byte with the length of the padding, then 0xff.
_VENDORED = "sklearn.externals.joblib.numpy_pickle:NumpyArrayWrapper"
WRAPPERS = {"joblib.numpy_pickle:NumpyArrayWrapper", _VENDORED}
EXTERNAL = {
    f"{package}.{module}:{name}"
    for package in ("joblib", "sklearn.externals.joblib")
    for module in ("numpy_pickle", "numpy_pickle_compat")
    for name in ("NDArrayWrapper", "ZNDArrayWrapper")
}
_ATTRIBUTES = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


def is_wrapper(node: ObjectNode) -> bool:
    """Return whether the bytes of an array follow the state of this object.

    Raises:
        Malformed: It is a wrapper of joblib before 0.10: loading would open another file.
    """
    key = class_key(node)
    if key in EXTERNAL:
        message = "an array is in another file, as joblib before 0.10 wrote it"
        raise Malformed("external-file", message, global_=key)
    return key in WRAPPERS


def layout(wrapper: ObjectNode) -> tuple[Payload, int | None, bool]:
    """Parse the wrapper of an array.

    Returns:
        The array without its bytes; their number, or None if a pickle follows instead; and whether
        padding precedes them.

    Raises:
        Malformed: joblib does not write such a wrapper.
    """
    state = wrapper.states[-1]
    if not isinstance(state, DictNode) or len(wrapper.states) != 1:
        raise _broken("it has no state")
    if not all(type(key) is str and key in _ATTRIBUTES for key in state.keys):
        raise _broken("its attributes are not those of a wrapper")
    facts = dict(zip(state.keys, state.values, strict=True))
    aligned = facts.get("numpy_array_alignment_bytes") is not None
    if aligned and class_key(wrapper) == _VENDORED:
        raise _broken("it has padding, which the joblib inside scikit-learn does not support")
    dtype, shape, order = (
        parse(facts.get("dtype")),
        shape_of(facts.get("shape")),
        facts.get("order"),
    )
    if dtype is None or shape is None or not isinstance(order, str) or order not in {"C", "F"}:
        raise _broken("its dtype, shape or order is invalid")
    payload = Payload(wrapper, dtype, shape, order == "F", None, None)
    size = None if dtype.has_objects else dtype.itemsize * math.prod(shape)
    return payload, size, aligned


def _broken(why: str) -> Malformed:
    return Malformed("broken-array", f"joblib does not write such a wrapper of an array: {why}")
