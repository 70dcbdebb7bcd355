"""A list of the functions and types in a file, each with its position and its role."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.types import HeldCallable

from ..allowlist import contract_name, standing
from ..contracts import class_key
from ..nodes import COMPOSITE, DictNode, Global, Items, Node, ObjectNode, Payload
from ..pickle.ndarrays import view
from .names import admitted, roles_of
from .values import HOLDERS, attributes, function_key, has_holders

MAX_CALLABLES = 1_000
"""The maximum number of callables in the list; real models contain few."""

_MAX_KEY_LENGTH = 60  # of a key
_MAX_POSITION_LENGTH = 400  # of a position
_ARGUMENTS = 4  # a call that builds a container has no more
_Path = tuple["_Path | None", str]
"""A path to a node: the path to its container, and the last part."""


def listing(root: Node, prefix: str = "") -> Iterator[HeldCallable]:
    """Yield up to `MAX_CALLABLES` callables below a root, a shared one at its first position."""
    seen: set[int] = set()
    waiting: list[tuple[_Path | None, str, Node]] = [(None, "", root)]
    count = 0
    while waiting and count < MAX_CALLABLES:
        path, name, node = waiting.pop()
        key = _key(node)
        if key is not None:
            count += 1
            yield HeldCallable(key, prefix + _path_text(path), _role(key, name))
        if isinstance(node, COMPOSITE) and id(node) not in seen:
            seen.add(id(node))
            parts = [part for part in _parts(node) if isinstance(part[1], HOLDERS)]
            for kind, value in reversed(parts):
                label = kind if isinstance(kind, str) else f"[{_key_text(kind[0])}]"
                inner = label[1:] if label.startswith(".") else name
                waiting.append(((path, label) if label else path, inner, value))


def _key(node: Node) -> str | None:
    if (
        isinstance(node, ObjectNode)
        and contract_name(node.cls.key) == "getattr"
        and len(node.args) == 2
    ):
        holder, name = node.args
        # A refused file may contain any other value here.
        if isinstance(name, str) and isinstance(holder, Global | ObjectNode):
            owner = holder.key if isinstance(holder, Global) else class_key(holder)
            return f"{owner}.{name}"
    return function_key(node)


def _role(key: str, name: str) -> str:
    roles = roles_of(key)
    if not roles:
        return "unknown" if standing(key) == "unknown" else "method"
    return " or ".join(sorted(roles & set(admitted(name) or ()) or roles))


def _parts(node: Node) -> Iterator[tuple[str | tuple[Node], Node]]:
    """Yield the parts of a node with their step: a text, or the key in a container as a tuple."""
    if isinstance(node, list | tuple):
        yield from _indexed(node)
    elif isinstance(node, Items):
        yield from _indexed(node.values)
    elif isinstance(node, DictNode):
        if has_holders(node.values):
            yield from (((k,), value) for k, value in zip(node.keys, node.values, strict=True))
    elif isinstance(node, Payload):
        yield "", node.inner
    elif isinstance(node, ObjectNode):
        yield from _parts_of_object(node)


def _indexed(values: list[Node] | tuple[Node, ...]) -> Iterator[tuple[tuple[int], Node]]:
    if has_holders(values):
        yield from (((index,), value) for index, value in enumerate(values))


def _parts_of_object(node: ObjectNode) -> Iterator[tuple[str | tuple[Node], Node]]:
    contract = contract_name(node.cls.key)
    if contract == "partial":
        state = node.states[0] if node.states and isinstance(node.states[0], tuple) else node.args
        yield from zip((".func", ".args", ".keywords"), state, strict=False)
        return
    for name, value in attributes(node):
        if isinstance(value, HOLDERS):
            yield (
                f".{name}" if name.isidentifier() and name.isascii() else f".{_key_text(name)}",
                value,
            )
    if contract in {"collection", "deque", "ordered"}:
        yield from (("", value) for value in node.args[:_ARGUMENTS])
    yield from _indexed(node.appends or ())
    yield from _parts(node.pairs) if node.pairs else ()
    array = view(node) if contract in {"array", "masked"} else None
    yield from _indexed(array.items or ()) if array else ()


def _key_text(key: Node) -> str:
    if not isinstance(key, str | int | float):
        return "..."
    text = repr(key)
    return text if len(text) <= _MAX_KEY_LENGTH else f"{text[:_MAX_KEY_LENGTH]}..."


def _path_text(path: _Path | None) -> str:
    parts: list[str] = []
    while path is not None:
        path, part = path
        parts.append(part)
    text = "".join(reversed(parts)).removeprefix(".")
    return text if len(text) <= _MAX_POSITION_LENGTH else f"{text[:_MAX_POSITION_LENGTH]}..."
