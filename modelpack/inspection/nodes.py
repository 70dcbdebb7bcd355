"""The inert values that files are read into, and the class of an object node.

None, booleans, numbers, strings, bytes, tuples and lists of a pickle are those of Python. Whatever
could run code, hash or compare is one of the classes here. Keys of a `Dct` are never hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Node = Any
"""None, bool, int, float, str, bytes, tuple, list, or a class of this module."""


class Malformed(Exception):  # noqa: N818 - a verdict about the file, not an error of modelpack
    """The bytes are not what a pickler writes. Becomes a `Finding`."""

    def __init__(
        self, code: str, message: str, *, offset: int | None = None, global_: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.global_ = global_
        self.opcode: str | None = None


def require(holds: bool, message: str, code: str = "malformed") -> None:
    """Raises:
    Malformed: it does not hold.
    """
    if not holds:
        raise Malformed(code, message)


@dataclass(slots=True, eq=False)
class Global:
    """A name that loading would look up: `key` is "module:qualname"."""

    key: str
    offset: int
    opcode: str

    @property
    def module(self) -> str:
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        return self.key.partition(":")[2]

    @property
    def is_module(self) -> bool:
        """Whether it stands for a module, which dill looks up apart from the name in it."""
        return self.key.endswith(":")

    @property
    def dotted(self) -> str:
        return self.key.replace(":", ".")


@dataclass(slots=True, eq=False)
class ObjectNode:
    """An object that loading would make: a class made by NEWOBJ, or whatever a call returns."""

    how: Literal["new", "call"]
    cls: Global
    args: tuple[Node, ...]
    offset: int
    opcode: str
    kwargs: DictNode | None = None
    states: list[Node] = field(default_factory=list)  # of BUILD
    appends: list[Node] | None = None  # of APPEND(S)
    pairs: DictNode | None = None  # of SETITEM(S)
    dtype: Any = None  # what the state of a numpy.dtype told when it was set


@dataclass(slots=True, eq=False)
class DictNode:
    keys: list[Node] = field(default_factory=list)
    values: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Items:
    """A set or frozenset."""

    values: list[Node]


@dataclass(slots=True, eq=False)
class Blob:
    """A string or bytes too long to keep: where it is, how it begins, and the codec in which it
    is written if it is text.
    """

    offset: int
    length: int
    head: bytes
    codec: str | None = None


@dataclass(slots=True, eq=False)
class Payload:
    """An array of joblib, whose bytes or whose own pickle follow the wrapper in the stream."""

    wrapper: ObjectNode
    dtype: Node
    shape: tuple[int, ...]
    fortran: bool
    data: bytes | Blob | None  # None: an array of objects
    inner: Node  # root of the nested pickle of an array of objects


COMPOSITE = (ObjectNode, DictNode, Items, Payload, tuple, list)
"""The nodes that hold nodes."""


def children(node: Node) -> list[Node]:
    """The nodes that `node` holds, scalars included."""
    if isinstance(node, tuple | list):
        return list(node)
    if isinstance(node, DictNode):
        return [*node.keys, *node.values]
    if isinstance(node, Items):
        return node.values
    if isinstance(node, Payload):
        return [node.wrapper, node.inner]
    if isinstance(node, ObjectNode):
        more = [part for part in (node.kwargs, node.pairs) if part is not None]
        return [*node.args, *node.states, *(node.appends or ()), *more]
    return []


def within(
    root: Node, levels: int, held: Callable[[Node], list[Node]] = children
) -> Iterator[Node]:
    """`root` and what it holds down to so many levels, the nearest first, each value once."""
    seen: set[int] = set()
    layer = [root]
    for _ in range(levels):
        below: list[Node] = []
        for node in layer:
            if id(node) not in seen:
                seen.add(id(node))
                below += held(node)
                yield node
        layer = below


def constructed_class(made: ObjectNode) -> Node:
    """The class of an object: of protocols 0 and 1, the first argument of `_reconstructor`."""
    is_old = made.cls.name == "_reconstructor" and made.cls.module in {"copyreg", "copy_reg"}
    return made.args[0] if is_old and made.args else made.cls


def is_constructed(made: ObjectNode) -> bool:
    """Whether it is an object of `made_class`, and not what a call of that returned."""
    return made.how == "new" or constructed_class(made) is not made.cls


def is_bare(made: ObjectNode) -> bool:
    """Whether it is made without arguments; those of a call are its callable's."""
    return made.how == "call" or (made.args == () and made.kwargs is None)


def class_key(made: ObjectNode) -> str:
    """The "module:name" of `made_class`; "" of one that is no name."""
    cls = constructed_class(made)
    return cls.key if isinstance(cls, Global) else ""


def state_attributes(node: ObjectNode) -> Iterator[tuple[str, Node]]:
    """Yield the attributes that the states of an object set, in its dict or in slots."""
    for state in node.states:
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if isinstance(part, DictNode):
                pairs = zip(part.keys, part.values, strict=True)
                yield from ((name, value) for name, value in pairs if type(name) is str)
