"""NumPy arrays and joblib array payloads, decoded without NumPy.

Formats: numpy/_core/src/multiarray/methods.c, `array_setstate`, (version, shape, dtype, is_fortran,
content), and numpy/ma/core.py, `MaskedArray.__setstate__`, with two values more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from modelpack.types import Scalar

from ..nodes import Blob, DictNode, Global, Malformed, Node, ObjectNode, Payload, class_key
from . import dtypes
from .dtypes import Dtype, parse, shape_of

_MAKERS = {"_reconstruct", "_mareconstruct"}
_LENGTHS = {5, 7}
_MAX_BYTES = 2**62
_POSITIONS = {"pos": 624, "buffer_pos": 4}  # of MT19937, of Philox


def check_state(made: ObjectNode, state: Node) -> None:
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
    return isinstance(content, str | Blob | ObjectNode) and count * dtype.itemsize < _MAX_BYTES


def is_random_state(made: ObjectNode) -> bool:
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
    elif isinstance(state, DictNode):
        for key, value in zip(state.keys, state.values, strict=True):
            yield key, value
            if isinstance(value, DictNode) and value is not state:
                yield from zip(value.keys, value.values, strict=True)


@dataclass(frozen=True, slots=True)
class Array:
    """`data` holds the values of an array of plain values, or their beginning; `items` those of an
    array of objects. Either is None where the file gives none that can be read.
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
        """All values in the order of memory, or None where they cannot be had."""
        found = self._decoded()
        return found if found is not None and len(found) == self.size else None

    def rows(self, most: int) -> list[list[Node]]:
        """The first rows of a matrix (n, k), at most so many of them."""
        if len(self.shape) != 2 or not self.size:
            return []
        found, (height, width) = self._decoded() or [], self.shape
        starts = range(min(most, height))
        rows = [found[i::height] if self.fortran else found[i * width : (i + 1) * width]
                for i in starts]  # fmt: skip
        return [row for row in rows if len(row) == width]

    def _decoded(self) -> list[Node] | None:
        if self.items is not None:
            return [scalar(item) for item in self.items]
        found = list(self.dtype.decode(self.data) or ()) if self.data is not None else None
        return [scalar(cell) for cell in found] if found and self.dtype.kind == "S" else found


def view(node: Node, level: int = 0) -> Array | None:
    """The array that a node stands for: of numpy or joblib, or the one inside a pandas Index."""
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


def _of_index(node: ObjectNode, level: int) -> Array | None:
    facts = node.args[1] if len(node.args) == 2 else None
    return view(dict_get(facts, "data"), level + 1) if isinstance(facts, DictNode) else None


def _of_extension(node: ObjectNode, level: int) -> Array | None:
    cls = node.args[0] if node.args else None
    if isinstance(cls, Global) and cls.name == "Categorical":
        return None  # its array holds the places of its values among the categories
    state = node.states[-1] if node.states else None
    parts = state if isinstance(state, tuple) else ()
    return next(filter(None, (view(part, level + 1) for part in parts)), None)


def _of_texts(node: ObjectNode, _: int) -> Array | None:
    """Texts that pandas keeps in pyarrow: offsets into one buffer, after bits of what is there."""
    state = node.states[-1] if node.states else None
    facts = state if isinstance(state, DictNode) else DictNode()
    made = dict_get(facts, "_pa_array") or dict_get(facts, "_data")
    parts = made.args[0] if isinstance(made, ObjectNode) and len(made.args) == 1 else None
    if not isinstance(parts, tuple) or len(parts) != 7 or not isinstance(parts[4], list):
        return None
    kind, count, _missing, first, buffers, *_rest = parts
    found = [_buffer(each) for each in (*buffers, None, None, None)]
    bits, offsets, data = found[:3]
    if not (type(count) is type(first) is int) or offsets is None or data is None:
        return None
    width = 8 if isinstance(kind, ObjectNode) and kind.args == ("large_string",) else 4
    starts = [int.from_bytes(offsets[place * width : (place + 1) * width], "little")
              for place in range(first, min(first + count + 1, len(offsets) // width))]  # fmt: skip
    texts = [data[start:end].decode("utf-8", "replace") for start, end in pairwise(starts)]
    if len(texts) != count:
        return None
    items = [text if _is_set(bits, first + place) else None for place, text in enumerate(texts)]
    return Array(Dtype("O", 8, False, True), (count,), False, None, items)


def _of_old_pickler(node: ObjectNode, level: int) -> Array | None:
    cls = node.args[0] if node.args else None
    is_texts = isinstance(cls, Global) and cls.name == "ArrowStringArray"
    return _of_texts(node, level) if is_texts else None


def _buffer(node: Node) -> bytes | None:
    """The bytes of a buffer of pyarrow, if the file keeps them at hand."""
    inner = node.args[0] if isinstance(node, ObjectNode) and len(node.args) == 1 else None
    if isinstance(inner, ObjectNode) and inner.args and isinstance(inner.args[0], Blob):
        return None
    return None if isinstance(inner, Blob) else raw(inner)


def _is_set(bits: bytes | None, place: int) -> bool:
    return bits is None or (place < 8 * len(bits) and bool(bits[place // 8] >> place % 8 & 1))


_MAX_DEPTH = 4
_VIEWS: dict[str, Callable[[ObjectNode, int], Array | None]] = {
    "_reconstruct": _reconstructed,
    "_frombuffer": _from_buffer,
    "_reconstructor": _of_old_pickler,
    "ArrowStringArray": _of_texts,
    "_new_Index": _of_index,
    "__pyx_unpickle_NDArrayBacked": _of_extension,
}


def dict_get(node: DictNode, name: str) -> Node:
    """The value of a string key, or None; keys are compared, never hashed."""
    pairs = zip(node.keys, node.values, strict=True)
    return next((value for key, value in pairs if type(key) is str and key == name), None)


def scalar(node: Node) -> Scalar:
    """A Python or numpy scalar as JSON knows it, bytes as text; None for everything else."""
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


def clean(text: str) -> str:
    """Text without lone surrogates, which pickles and names of files may hold and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _array(dtype: Node, shape: Node, fortran: bool, data: Node) -> Array | None:
    kind = parse(dtype)
    if kind is None or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        return None
    if isinstance(data, list):
        return Array(kind, shape, fortran, None, data)
    return Array(kind, shape, fortran, None if kind.has_objects else raw(data))


def raw(node: Node) -> bytes | None:
    """Bytes however the protocol at hand writes them; of long ones the head."""
    if isinstance(node, bytes):
        return node
    if isinstance(node, str):  # of Python 2, or the text inside _codecs.encode
        return node.encode("latin-1", "ignore")
    if isinstance(node, Blob):
        return node.head
    if isinstance(node, ObjectNode) and node.cls.name in {"encode", "bytes", "bytearray"}:
        inner: Node = node.args[0] if node.args else b""
        is_text = isinstance(inner, Blob) and inner.codec == "utf-8"
        return raw(inner.head.decode("utf-8", "ignore") if is_text else inner)
    return None


# Format: joblib/numpy_pickle.py, `NumpyArrayWrapper.write_array`. Since joblib 1.2 a byte tells
# how many bytes 0xff follow it, so that the array is aligned in the file.
_VENDORED = "sklearn.externals.joblib.numpy_pickle:NumpyArrayWrapper"
WRAPPERS = {"joblib.numpy_pickle:NumpyArrayWrapper", _VENDORED}
EXTERNAL = {
    f"{package}.{module}:{name}"
    for package in ("joblib", "sklearn.externals.joblib")
    for module in ("numpy_pickle", "numpy_pickle_compat")
    for name in ("NDArrayWrapper", "ZNDArrayWrapper")
}
_ATTRIBUTES = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


def is_wrapper(made: ObjectNode) -> bool:
    """Whether the bytes of an array follow the state of this object.

    Raises:
        Malformed: it is a wrapper of old joblib, which makes the loader open another file.
    """
    key = class_key(made)
    if key in EXTERNAL:
        message = "the array lies in another file, as joblib before 0.10 wrote it"
        raise Malformed("external-file", message, global_=key)
    return key in WRAPPERS


def layout(wrapper: ObjectNode) -> tuple[Payload, int | None, bool]:
    """The array without its bytes; their number, or None where a pickle follows instead; and
    whether padding precedes them.

    Raises:
        Malformed: the wrapper does not tell of an array as joblib does.
    """
    state = wrapper.states[-1]
    if not isinstance(state, DictNode) or len(wrapper.states) != 1:
        raise _broken("it has no state")
    if not all(type(key) is str and key in _ATTRIBUTES for key in state.keys):
        raise _broken("its attributes are not those of a wrapper")
    facts = dict(zip(state.keys, state.values, strict=True))
    aligned = facts.get("numpy_array_alignment_bytes") is not None
    if aligned and class_key(wrapper) == _VENDORED:
        raise _broken("it tells of padding, which the joblib inside scikit-learn does not know")
    dtype, shape, order = (
        parse(facts.get("dtype")),
        shape_of(facts.get("shape")),
        facts.get("order"),
    )
    if dtype is None or shape is None or not isinstance(order, str) or order not in {"C", "F"}:
        raise _broken("its dtype, shape or order is not one of an array")
    payload = Payload(wrapper, dtype, shape, order == "F", None, None)
    size = None if dtype.has_objects else dtype.itemsize * math.prod(shape)
    return payload, size, aligned


def _broken(why: str) -> Malformed:
    return Malformed(
        "broken-array", f"joblib's wrapper of an array is not as joblib writes it: {why}"
    )
