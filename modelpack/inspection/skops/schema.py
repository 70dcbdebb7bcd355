"""The JSON schema and its states.

Source: skops/io of skops 0.16, protocols 0 to 2. A state is a JSON object. `__loader__` is its
kind, `__module__` and `__class__` name the class of its value, and `__id__` identifies the value. A
state with the id of an earlier state refers to the value of that state, whatever else it contains.
"""

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
_ADDRESS_LIMIT = 2**61 - 1  # smaller integers have different hash values


def parse_schema(body: Reader, size: int) -> dict[str, Any]:
    """Parse the JSON object in the next `size` bytes.

    Raises:
        Malformed: It is not a JSON object, or JSON readers would differ in its meaning.
    """
    if size > limits.SCHEMA_BYTES:
        raise Malformed("limit", f"the schema is longer than {limits.SCHEMA_BYTES:,} bytes")
    try:
        schema = json.loads(_text(body, size), object_pairs_hook=_Objects().make)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise malformed("schema.json is not JSON as skops writes it") from error
    if not isinstance(schema, dict):
        raise malformed("the schema is not a JSON object")
    return schema


def _text(body: Reader, size: int) -> str:
    """Decode a long text without a second copy in memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts = []
    while size:
        parts.append(decoder.decode(body.take(min(size, CHUNK)), final=size <= CHUNK))
        size -= min(size, CHUNK)
    return "".join(parts)


def too_deep() -> Malformed:
    return Malformed("limit", "the schema is nested too deeply")


class _Objects:
    """The objects of a JSON text.

    Each key of a dict has a type, nearly always the same one: equal types are kept once.
    """

    def __init__(self) -> None:
        self.types: dict[tuple[Any, ...], dict[str, Any]] = {}

    def make(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):  # readers differ in which of two values they use
            raise malformed("an object of the schema has a key twice")
        if len(members) == _LENGTH_OF_TYPE and members.get("__loader__") == "TypeNode":
            # An attacker cannot choose strings and addresses with equal hash values.
            names = [members.get(key) for key in ("__class__", "__module__")]
            if not all(isinstance(name, str) for name in names) or not is_id(members.get("__id__")):
                raise malformed("a state of a type has no names or no address")
            return self.types.setdefault(tuple(members.values()), members)
        return members


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a state, which is an address in memory."""
    return type(value) is int and 0 < value < _ADDRESS_LIMIT


def schema_protocol(schema: dict[str, Any]) -> int:
    """Return the protocol, which determines the classes of skops that read the states."""
    protocol = schema.get("protocol")
    if type(protocol) is not int or not 0 <= protocol <= HIGHEST_PROTOCOL:
        raise Malformed("unknown-protocol", "the protocol is not one of skops 0.1 to 0.16")
    return protocol


def skops_requirement(value: Any) -> dict[str, str]:
    """Return the requirement on skops. Newer releases read older files, and are safer."""
    try:
        version = (
            Version(value) if isinstance(value, str) and len(value) <= _MAX_VERSION_LENGTH else None
        )
    except InvalidVersion:
        version = None
    return {"skops": f">={version.base_version}"} if version else {}


State = Mapping[str, Any]

_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CHANGING = {"__id__", "file"}
_OPEN = object()  # the value of a state that is being read


@dataclass
class StateReader:
    """Reads states into nodes.

    Attributes:
        kinds: Kind of a state -> its reader.
        files: Member of the archive -> its content.
        offset: Position of the schema in the file; positions inside it are unknown.
        memo: Id -> the first state with it, and its node.
    """

    kinds: Mapping[str, Callable[[StateReader, State], Node]]
    trace: Trace
    files: Mapping[str, Node]
    protocol: int
    offset: int
    level: int = 0
    memo: dict[int, tuple[State, Node]] = field(default_factory=dict)

    def read(self, state: Any) -> Node:
        """Read a state and all states in it.

        Raises:
            Malformed: skops does not write this, or a limit is exceeded.
        """
        if not isinstance(state, dict):
            raise malformed("a value of the schema is not a state")
        number = state.get("__id__")
        if number is not None and not is_id(number):
            raise malformed("the id of a state is not an address")
        if number in self.memo:
            return self._known(state, *self.memo[number])
        if number is not None:
            self.memo[number] = (state, _OPEN)
        node = self._build(state)
        if number is not None:
            self.memo[number] = (state, node)
        return node

    def _known(self, state: State, first: State, node: Node) -> Node:
        if node is _OPEN:
            raise malformed("a value contains itself")
        if not same(state, first):
            raise malformed("two different states have the same id")
        return node

    def _build(self, state: State) -> Node:
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
        """Return the global that a state names, or that `module` and `cls` name."""
        module = state.get("__module__") if module is None else module
        cls = state.get("__class__") if cls is None else cls
        name = self.implied(state, f"{text(module)}:{text(cls)}")
        is_valid = _MODULE.fullmatch(module) and _CLASS.fullmatch(cls)
        if not is_valid or len(name.key) > limits.NAME_CHARACTERS:
            raise Malformed("bad-name", f"{name.key[:80]!a} is not a name of Python")
        self.trace.add(name)
        return name

    def implied(self, state: State, key: str) -> Global:
        """Return a global that loading looks up although no state names it."""
        return Global(key, self.offset, str(state["__loader__"]))

    def file(self, state: State, suffix: str) -> Node:
        """Return the content of the archive member that a state names."""
        name = content(state, "file")
        if not isinstance(name, str) or not name.endswith(f".{suffix}") or name not in self.files:
            raise malformed(f"a state does not name a {suffix} file of the archive")
        return self.files[name]

    def create(self, how: Literal["call", "new"], cls: Global, *args: Node) -> ObjectNode:
        """Return the result of a call, or a new instance of a class."""
        node = ObjectNode(how, cls, args, cls.offset, cls.opcode)
        self.trace.objects.append(node)
        return node


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise malformed("a name in the schema is not a string")
    return value


def content(state: Any, key: str = "content") -> Any:
    """Return the required member `key` of a state, or of a part of one."""
    if not isinstance(state, dict) or key not in state:
        raise malformed(f"a state has no {key}")
    return state[key]


def require(state: State, *keys: str) -> str:
    """Return the "module:class" of a state, which must be one of `keys`.

    Raises:
        Malformed: The state names another class.
    """
    key = f"{state.get('__module__')}:{state.get('__class__')}"
    if key not in keys:
        kind = state.get("__loader__")
        raise Malformed("unexpected-class", f"a state of kind {kind} names {key[:80]!a}")
    return key


def same(state: Any, other: Any) -> bool:
    """Return whether two states of one value are equal but for ids and files of their parts.

    These are new each time that the value is saved. The loader uses those of the first state.
    """
    if state is other:
        return True
    if isinstance(state, dict) and isinstance(other, dict):
        left, right = ({k: v for k, v in s.items() if k not in _CHANGING} for s in (state, other))
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(state, list) and isinstance(other, list):
        pairs = zip(state, other, strict=False)
        return len(state) == len(other) and all(same(a, b) for a, b in pairs)
    return type(state) is type(other) and bool(state == other)
