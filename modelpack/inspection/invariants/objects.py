"""What the checks read of objects: their attributes, and where their arrays lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..arrays import scalar
from ..dtypes import Dtype, parse, shape_of
from ..nodes import Blob, Dct, Node, Obj, Payload

Content = bytes | Blob | list[Node]


class Broken(Exception):  # noqa: N818 - about the file, not an error of modelpack
    """What compiled code would believe of an object does not hold; the message says what."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise Broken(message)


def attributes(made: Obj) -> dict[str, Node]:
    """What the state sets; empty where there is none.

    Raises:
        Broken: the state is no dict, or sets an attribute twice: in loading one of the values wins.
    """
    if not made.states:
        return {}
    require(len(made.states) == 1, "its state is no dict")
    return named(made.states[0])


def named(state: Node, what: str = "its state") -> dict[str, Node]:
    """Read a state that is a dict; `Broken` as for `attributes`, which says `what` it is."""
    if not isinstance(state, Dct):
        raise Broken(f"{what} is no dict")
    pairs = zip(state.keys, state.values, strict=True)
    found = {key: value for key, value in pairs if type(key) is str}
    require(len(found) == len(state.keys), f"{what} does not name each attribute once")
    return found


def integer(node: Node) -> int | None:
    """A Python or numpy integer, or None."""
    value = scalar(node)
    return value if type(value) is int else None


@dataclass(frozen=True, slots=True)
class Stored:
    """An array as the file holds it. `name` is for messages."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    fortran: bool
    content: Content

    @property
    def code(self) -> str:
        """As numpy writes a plain dtype, without its byte order: "i8", "f4"."""
        return f"{self.dtype.kind}{self.dtype.itemsize}"

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def expect(self, codes: set[str], *shape: int | None) -> None:
        """Require one of the dtypes, and a shape; None stands for any length.

        Raises:
            Broken: it is another.
        """
        require(self.code in codes, f"{self.name} holds {self.code} and not {' or '.join(codes)}")
        fits = len(shape) == len(self.shape) and all(
            want in (None, have) for want, have in zip(shape, self.shape, strict=True)
        )
        told = ", ".join("any" if n is None else str(n) for n in shape)
        require(fits, f"the shape of {self.name} is {self.shape}, where ({told}) is needed")


def stored(node: Node, name: str) -> Stored:
    """The array that a node makes.

    Raises:
        Broken: it makes none, or one of fewer or more bytes than its shape tells.
    """
    if isinstance(node, Payload):
        if isinstance(node.inner, list):
            return Stored(name, node.dtype, node.shape, node.fortran, node.inner)
        if node.data is None:
            return stored(node.inner, name)
        return Stored(name, node.dtype, node.shape, node.fortran, node.data)
    made = node if isinstance(node, Obj) and node.cls.module.startswith("numpy.") else None
    reader = _READERS.get(made.cls.name) if made else None
    if made is None or reader is None:
        raise Broken(f"{name} is no array")
    return reader(made, name)


def _reconstructed(made: Obj, name: str) -> Stored:
    state = made.states[0] if len(made.states) == 1 else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise Broken(f"{name} is no array")
    _, shape, dtype, fortran, data = state
    return _array(name, (dtype, shape, fortran is True), data)


def _from_buffer(made: Obj, name: str) -> Stored:
    if len(made.args) != 4 or made.states:
        raise Broken(f"{name} is no array")
    data, dtype, shape, order = made.args
    return _array(name, (dtype, shape, order == "F"), data)


_READERS = {"_reconstruct": _reconstructed, "_frombuffer": _from_buffer}


def _array(name: str, kind: tuple[Node, Node, bool], data: Node) -> Stored:
    dtype, shape = parse(kind[0]), shape_of(kind[1])
    content = data if isinstance(data, list) else raw(data)
    if dtype is None or shape is None or content is None:
        raise Broken(f"{name} is no array")
    found = Stored(name, dtype, shape, kind[2], content)
    unit = 1 if isinstance(content, list) else dtype.itemsize
    told = length(content)
    require(told in (None, unit * found.size), f"{name} holds more or less than its shape tells")
    return found


def length(content: Content) -> int | None:
    """In bytes or items; None of text that is too long to keep: it tells when it is decoded."""
    if isinstance(content, Blob):
        return None if content.codec else content.length
    return len(content)


def raw(node: Node) -> bytes | Blob | None:
    """Bytes, however the protocol at hand writes them, or None."""
    if isinstance(node, str):
        return _latin(node)
    if isinstance(node, Obj) and node.cls.name in {"encode", "bytes", "bytearray"}:
        if not node.args:
            return b""
        known = len(node.args) == 1 or node.args[1] in ("latin1", "latin-1")
        return raw(node.args[0]) if known else None
    return node if isinstance(node, bytes | Blob) else None


def _latin(text: str) -> bytes | None:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return None
