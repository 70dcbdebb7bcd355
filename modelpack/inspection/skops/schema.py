"""The JSON schema and its states."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from packaging.version import InvalidVersion, Version

from .. import limits
from ..nodes import Global, Malformed, Node, ObjectNode
from ..pickle.machine import Trace, malformed
from ..stream import CHUNK, Reader

HIGHEST_PROTOCOL = 2

_LENGTH_OF_TYPE = 4  # loader, module, class, id
_MAX_VERSION_LENGTH = 40
_ADDRESS_LIMIT = 2**61 - 1  # integers below it have hash values of their own


def parsed(body: Reader, size: int) -> dict[str, Any]:
    """The object of JSON in the next `size` bytes.

    Raises:
        Malformed: it is none, or readers of JSON would differ over what it is.
    """
    if size > limits.SCHEMA_BYTES:
        raise Malformed("limit", f"the schema is longer than {limits.SCHEMA_BYTES:,} bytes")
    try:
        schema = json.loads(_text(body, size), object_pairs_hook=_Objects().make)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise malformed("schema.json is no JSON as skops writes it") from error
    if not isinstance(schema, dict):
        raise malformed("the schema is no object of JSON")
    return schema


def _text(body: Reader, size: int) -> str:
    """All of a long text, which is not held twice."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts = []
    while size:
        parts.append(decoder.decode(body.take(min(size, CHUNK)), final=size <= CHUNK))
        size -= min(size, CHUNK)
    return "".join(parts)


def too_deep() -> Malformed:
    return Malformed("limit", "the schema is nested too deeply")


class _Objects:
    """The objects of a JSON text. There is a type for each key of a dict, nearly always the same:
    equal ones are held once.
    """

    def __init__(self) -> None:
        self.types: dict[tuple[Any, ...], dict[str, Any]] = {}

    def make(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):  # readers differ over which of two values counts
            raise malformed("an object of the schema has a key twice")
        if len(found) == _LENGTH_OF_TYPE and found.get("__loader__") == "TypeNode":
            # Only of texts and addresses few share a hash value.
            names = [found.get(key) for key in ("__class__", "__module__")]
            if not all(isinstance(name, str) for name in names) or not is_id(found.get("__id__")):
                raise malformed("a state of a type has no names or no address")
            return self.types.setdefault(tuple(found.values()), found)
        return found


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a state, which is an address in memory."""
    return type(value) is int and 0 < value < _ADDRESS_LIMIT


def protocol_of(schema: dict[str, Any]) -> int:
    """The number that tells by which of skops' classes states are read."""
    protocol = schema.get("protocol")
    if type(protocol) is not int or not 0 <= protocol <= HIGHEST_PROTOCOL:
        raise Malformed("unknown-protocol", "the protocol of the file is none of skops 0.1 to 0.16")
    return protocol


def version_of(value: Any) -> dict[str, str]:
    """The specifier of skops: newer releases read what older ones wrote, and are safer."""
    try:
        version = (
            Version(value) if isinstance(value, str) and len(value) <= _MAX_VERSION_LENGTH else None
        )
    except InvalidVersion:
        version = None
    return {"skops": f">={version.base_version}"} if version else {}


# Format: skops/io of skops 0.16, protocols 0 to 2. A state is a JSON object: `__loader__` tells of
# which kind it is, `__module__` and `__class__` what is made, `__id__` which value it is. A state
# whose id was met before stands for the value that was made then, whatever else it says.
State = Mapping[str, Any]

_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANEW = {"__id__", "file"}
_OPEN = object()  # stands for the value of a state that is being read


@dataclass
class States:
    """What is read of a schema so far. `offset`: where the schema lies in the file; JSON tells no
    offsets inside of it. `files`: what the members of the archive hold.
    """

    kinds: Mapping[str, Callable[[States, State], Node]]
    trace: Trace
    files: Mapping[str, Node]
    protocol: int
    offset: int
    level: int = 0
    memo: dict[int, tuple[State, Node]] = field(default_factory=dict)

    def read(self, state: Any) -> Node:
        """The node of a state, and of all states in it.

        Raises:
            Malformed: skops does not write this, or it is beyond the limits.
        """
        if not isinstance(state, dict):
            raise malformed("a value of the schema is no state")
        number = state.get("__id__")
        if number is not None and not is_id(number):
            raise malformed("the id of a state is no address")
        if number in self.memo:
            return self._again(state, *self.memo[number])
        if number is not None:
            self.memo[number] = (state, _OPEN)
        node = self._made(state)
        if number is not None:
            self.memo[number] = (state, node)
        return node

    def _again(self, state: State, first: State, node: Node) -> Node:
        if node is _OPEN:
            raise malformed("a value holds itself")
        if not same(state, first):
            raise malformed("two states that differ have the same id")
        return node

    def _made(self, state: State) -> Node:
        loader = state.get("__loader__")
        kind = self.kinds.get(loader) if isinstance(loader, str) else None
        if kind is None:
            raise Malformed("unknown-kind", f"skops has no state of kind {str(loader)[:40]!a}")
        if self.level >= limits.STATES_DEPTH:
            raise Malformed("limit", f"states are nested over {limits.STATES_DEPTH} levels deep")
        self.level += 1
        node = kind(self, state)
        self.level -= 1
        return node

    def name(self, state: State, module: Any = None, cls: Any = None) -> Global:
        """The global that a state names, or the one that its parts name. Loading looks it up."""
        module = state.get("__module__") if module is None else module
        cls = state.get("__class__") if cls is None else cls
        found = self.implied(state, f"{text(module)}:{text(cls)}")
        if not (_MODULE.fullmatch(module) and _CLASS.fullmatch(cls)) or len(found.key) > (
            limits.NAME_CHARACTERS
        ):
            raise Malformed("bad-name", f"{found.key[:80]!a} is no name of Python")
        self.note(found)
        return found

    def note(self, found: Global) -> None:
        """Count a name among those of the file."""
        self.trace.globals.setdefault(found.key, found)
        if len(self.trace.globals) > limits.GLOBALS:
            raise Malformed("limit", f"more than {limits.GLOBALS:,} different globals are named")

    def implied(self, state: State, key: str) -> Global:
        """A global that skops or pickle would look up for a state by itself."""
        return Global(key, self.offset, str(state["__loader__"]))

    def file(self, state: State, suffix: str) -> Node:
        """What is in the member of the archive that a state names."""
        name = content(state, "file")
        if not isinstance(name, str) or not name.endswith(f".{suffix}") or name not in self.files:
            raise malformed(f"a state names no {suffix} file of the archive")
        return self.files[name]

    def make(self, how: Literal["call", "new"], cls: Global, *args: Node) -> ObjectNode:
        """What calling a global returns, or an object of a class that is made anew."""
        made = ObjectNode(how, cls, args, cls.offset, cls.opcode)
        self.trace.objects.append(made)
        return made


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise malformed("a name in the schema is no text")
    return value


def content(state: Any, key: str = "content") -> Any:
    """What a state, or a part of one, holds under a key that its kind needs."""
    if not isinstance(state, dict) or key not in state:
        raise malformed(f"a state has no {key}")
    return state[key]


def require(state: State, *keys: str) -> str:
    """The "module:class" of a state whose kind can only make these.

    Raises:
        Malformed: the state names something else.
    """
    key = f"{state.get('__module__')}:{state.get('__class__')}"
    if key not in keys:
        kind = state.get("__loader__")
        raise Malformed("unexpected-class", f"a state of kind {kind} names {key[:80]!a}")
    return key


def same(state: Any, other: Any) -> bool:
    """Whether two states of one value tell the same. What is in them gets ids and files anew each
    time that the value is saved; the loader takes those of the state that comes first.
    """
    if state is other:
        return True
    if isinstance(state, dict) and isinstance(other, dict):
        left, right = ({k: v for k, v in s.items() if k not in _ANEW} for s in (state, other))
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(state, list) and isinstance(other, list):
        pairs = zip(state, other, strict=False)
        return len(state) == len(other) and all(same(a, b) for a, b in pairs)
    return type(state) is type(other) and bool(state == other)
