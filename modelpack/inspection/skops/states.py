"""The states of a skops file's schema, turned into the nodes that a pickle would give.

Format: skops/io of skops 0.16, protocols 0 to 2. A state is a JSON object: `__loader__` tells of
which kind it is, `__module__` and `__class__` what is made, `__id__` which value it is. A state
whose id was met before stands for the value that was made then, whatever else it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import limits
from ..machine import Trace, malformed
from ..nodes import Global, Malformed, Node, Obj
from .schema import is_id

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

    def make(self, how: Literal["call", "new"], cls: Global, *args: Node) -> Obj:
        """What calling a global returns, or an object of a class that is made anew."""
        made = Obj(how, cls, args, cls.offset, cls.opcode)
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
