"""The inert values that files are read into, and the class of an object node.

None, booleans, numbers, strings, bytes, tuples and lists are Python's. Values that could run code,
hash or compare are of a class of this module. Keys of a `DictNode` are never hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Node = Any
"""None, bool, int, float, str, bytes, tuple, list, or a class of this module."""


class Malformed(Exception):  # noqa: N818 - a verdict about the file, not an error of modelpack
    """A file that no library writes. `policy.finding` converts it to a `Finding`.

    Attributes:
        message: A clause about the file, in lower case and without a full stop.
    """

    def __init__(
        self, code: str, message: str, *, offset: int | None = None, global_: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.global_ = global_
        self.opcode: str | None = None


def require(condition: bool, message: str, code: str = "malformed") -> None:
    """Raise `Malformed` unless the condition is true."""
    if not condition:
        raise Malformed(code, message)


@dataclass(slots=True, eq=False)
class PersistentId:
    """An object outside of the pickle, such as the storage of a tensor. `value` names it."""

    value: Node


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
        """True for a module, which dill looks up separately from a name in it."""
        return self.key.endswith(":")

    @property
    def dotted(self) -> str:
        return self.key.replace(":", ".")


@dataclass(slots=True, eq=False)
class ObjectNode:
    """An object that loading would create: an instance from NEWOBJ, or the result of a call."""

    how: Literal["new", "call"]
    cls: Global
    args: tuple[Node, ...]
    offset: int
    opcode: str
    kwargs: DictNode | None = None
    states: list[Node] = field(default_factory=list)  # of BUILD
    appends: list[Node] | None = None  # of APPEND(S)
    pairs: DictNode | None = None  # of SETITEM(S)
    dtype: Any = None  # a numpy.dtype as parsed when its state was set


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
    """A string or bytes too long to keep. `head`: its first bytes. `codec`: that of a string."""

    offset: int
    length: int
    head: bytes
    codec: str | None = None


@dataclass(slots=True, eq=False)
class Payload:
    """A joblib array. Its bytes, or a nested pickle, follow the wrapper in the stream."""

    wrapper: ObjectNode
    dtype: Node
    shape: tuple[int, ...]
    fortran: bool
    data: bytes | Blob | None  # None: an array of objects
    inner: Node  # root of the nested pickle of an array of objects


COMPOSITE = (ObjectNode, DictNode, Items, Payload, tuple, list)
"""The nodes that contain nodes."""


def children(node: Node) -> list[Node]:
    """Return the values that `node` contains, scalars included."""
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
    root: Node, levels: int, members: Callable[[Node], list[Node]] = children
) -> Iterator[Node]:
    """Yield `root` and the values in it, breadth first, each value once."""
    seen: set[int] = set()
    layer = [root]
    for _ in range(levels):
        below: list[Node] = []
        for node in layer:
            if id(node) not in seen:
                seen.add(id(node))
                below += members(node)
                yield node
        layer = below


def constructed_class(node: ObjectNode) -> Node:
    """Return the class of an object. In protocols 0 and 1 it is an argument of `_reconstructor`."""
    is_old = node.cls.name == "_reconstructor" and node.cls.module in {"copyreg", "copy_reg"}
    return node.args[0] if is_old and node.args else node.cls


def is_constructed(node: ObjectNode) -> bool:
    """Return whether it is an instance of its class, not the result of a call."""
    return node.how == "new" or constructed_class(node) is not node.cls


def is_bare(node: ObjectNode) -> bool:
    """Return whether it is created without arguments. Arguments of a call are the callable's."""
    return node.how == "call" or (node.args == () and node.kwargs is None)


def class_key(node: ObjectNode) -> str:
    """Return the "module:name" of the class; "" if the class is not a global."""
    cls = constructed_class(node)
    return cls.key if isinstance(cls, Global) else ""


def state_attributes(node: ObjectNode) -> Iterator[tuple[str, Node]]:
    """Yield the attributes that the states of an object set, in its dict or in slots."""
    for state in node.states:
        for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            if isinstance(part, DictNode):
                pairs = zip(part.keys, part.values, strict=True)
                yield from ((name, value) for name, value in pairs if type(name) is str)
