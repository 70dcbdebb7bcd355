"""Every function and type that the objects of a file hold, with its position and its role."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.types import HeldCallable

from ..allowlist import contract_name, standing
from ..contracts import class_key
from ..nodes import COMPOSITE, DictNode, Global, Items, Node, ObjectNode, Payload
from ..pickle.ndarrays import view
from .names import admitted, roles_of
from .values import HOLDERS, attributes, function_key, has_holders

MOST = 1_000
"""Callables that are listed: real models hold few."""

_MOST_LETTERS = 60  # of a key
_LONGEST = 400  # of a position
_ARGUMENTS = 4  # of a call that makes a container; more are refused
_Step = tuple["_Step | None", str]
"""The way to a node: that of what holds it, and the last part."""


def listing(root: Node, prefix: str = "") -> Iterator[HeldCallable]:
    """List the callables that a root reaches, at most `MOST`. What several objects share is listed
    at the first position.
    """
    seen: set[int] = set()
    waiting: list[tuple[_Step | None, str, Node]] = [(None, "", root)]
    listed = 0
    while waiting and listed < MOST:
        way, name, node = waiting.pop()
        key = _key(node)
        if key is not None:
            listed += 1
            yield HeldCallable(key, prefix + _text(way), _role(key, name))
        if isinstance(node, COMPOSITE) and id(node) not in seen:
            seen.add(id(node))
            parts = [part for part in _parts(node) if isinstance(part[1], HOLDERS)]
            for kind, value in reversed(parts):
                label = kind if isinstance(kind, str) else f"[{_shown(kind[0])}]"
                inner = label[1:] if label.startswith(".") else name
                waiting.append(((way, label) if label else way, inner, value))


def _key(node: Node) -> str | None:
    if (
        isinstance(node, ObjectNode)
        and contract_name(node.cls.key) == "getattr"
        and len(node.args) == 2
    ):
        holder, name = node.args
        # A file that is refused may contain any other value here.
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
    """What a node holds, each with how it is reached from it: text, or the key of a container."""
    if isinstance(node, list | tuple):
        yield from _placed(node)
    elif isinstance(node, Items):
        yield from _placed(node.values)
    elif isinstance(node, DictNode):
        if has_holders(node.values):
            yield from (((k,), value) for k, value in zip(node.keys, node.values, strict=True))
    elif isinstance(node, Payload):
        yield "", node.inner
    elif isinstance(node, ObjectNode):
        yield from _of_object(node)


def _placed(values: list[Node] | tuple[Node, ...]) -> Iterator[tuple[tuple[int], Node]]:
    if has_holders(values):
        yield from (((place,), value) for place, value in enumerate(values))


def _of_object(node: ObjectNode) -> Iterator[tuple[str | tuple[Node], Node]]:
    contract = contract_name(node.cls.key)
    if contract == "partial":
        state = node.states[0] if node.states and isinstance(node.states[0], tuple) else node.args
        yield from zip((".func", ".args", ".keywords"), state, strict=False)
        return
    for name, value in attributes(node):
        if isinstance(value, HOLDERS):
            yield (
                f".{name}" if name.isidentifier() and name.isascii() else f".{_shown(name)}",
                value,
            )
    if contract in {"collection", "deque", "ordered"}:
        yield from (("", value) for value in node.args[:_ARGUMENTS])
    yield from _placed(node.appends or ())
    yield from _parts(node.pairs) if node.pairs else ()
    array = view(node) if contract in {"array", "masked"} else None
    yield from _placed(array.items or ()) if array else ()


def _shown(key: Node) -> str:
    if not isinstance(key, str | int | float):
        return "..."
    text = ascii(key)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..."


def _text(way: _Step | None) -> str:
    parts: list[str] = []
    while way is not None:
        way, part = way
        parts.append(part)
    text = "".join(reversed(parts)).removeprefix(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
