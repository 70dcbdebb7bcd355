"""Stack, memo and side effects of each opcode.

It builds inert nodes: it looks nothing up and calls nothing. Of the language, only what picklers
write is admitted: what unpicklers accept beyond it serves nobody but attackers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from .. import limits, translation
from ..nodes import DictNode, Global, Items, Malformed, Node, ObjectNode
from ..stream import Reader
from . import dtypes, ndarrays

_BUILTIN_TYPE = "cloudpickle.cloudpickle:_builtin_type"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass
class Trace:
    """All that was met on the way, whether the root reaches it or not."""

    globals: dict[str, Global] = field(default_factory=dict)  # the first of each name
    resolved: list[Global] = field(default_factory=list)  # each one
    used: set[int] = field(default_factory=set)  # ids of those that only helped to make others
    objects: list[ObjectNode] = field(default_factory=list)
    protocol: int | None = None
    payloads: int = 0
    opcodes: int = 0
    arguments: int = 0  # of all calls together
    most_opcodes: int = limits.OPCODES[-1]
    versions: dict[str, str] = field(default_factory=dict)  # distribution -> specifier
    pythons: tuple[str, ...] = ()  # those that may have written its byte code


def merged(traces: Sequence[Trace]) -> Trace:
    """What was met in several files."""
    if len(traces) == 1:
        return traces[0]
    found = Trace(
        protocol=max((t.protocol for t in traces if t.protocol is not None), default=None)
    )
    for trace in traces:
        found.globals = {**trace.globals, **found.globals}
        found.resolved += trace.resolved
        found.objects += trace.objects
        found.payloads += trace.payloads
        found.versions |= trace.versions
        found.pythons = found.pythons or trace.pythons
    return found


def malformed(message: str) -> Malformed:
    return Malformed("malformed", message)


class Machine:
    """The machine of one pickle. A nested one (an array of objects in a joblib file) gets a machine
    of its own, with the same reader and trace.
    """

    def __init__(self, reader: Reader, trace: Trace, *, nested: bool = False) -> None:
        self.reader = reader
        self.trace = trace
        self.nested = nested
        self.start = reader.offset
        self.offset = self.start  # of the opcode at hand
        self.stack: list[Node] = []
        self.marks: list[list[Node]] = []
        self.memo: dict[int, Node] = {}
        self.protocol: int | None = None
        self.binary = False

    def stop(self) -> Node:
        self.reader.end_frame()
        if len(self.stack) != 1 or self.marks or self.reader.frame_end is not None:
            raise malformed("the pickle ends with values left over")
        if not self.nested:
            old = 1 if self.binary else 0
            self.trace.protocol = old if self.protocol is None else self.protocol
        return self.stack[0]

    # --- containers ------------------------------------------------------------------------------

    def mark(self) -> None:
        if len(self.marks) >= limits.MARKS:
            raise Malformed("limit", f"more than {limits.MARKS:,} marks are open")
        self.marks.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Node]:
        values = self.stack
        self.stack = self.marks.pop()
        return values

    def gather(self, kind: Callable[[list[Node]], Node]) -> None:
        values = self.to_mark()
        self.stack.append(kind(values))

    def pairs(self, target: DictNode, values: list[Node]) -> DictNode:
        if len(values) % 2:
            raise malformed("a key has no value")
        target.keys += values[::2]
        target.values += values[1::2]
        return target

    def tuple(self, count: int) -> None:
        if count > len(self.stack):
            raise malformed("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def extend(self, values: list[Node]) -> None:
        target = self.stack[-1]
        if isinstance(target, ObjectNode):
            if target.appends is None:
                target.appends = []
            target.appends += values
        elif isinstance(target, list):
            target += values
        else:
            raise malformed("values are appended to what is no list")

    def update(self, values: list[Node]) -> None:
        target = self.stack[-1]
        if isinstance(target, ObjectNode):
            target.pairs = target.pairs or DictNode()
            target = target.pairs
        if not isinstance(target, DictNode):
            raise malformed("items are set in what is no dict")
        self.pairs(target, values)

    def setitem(self) -> None:
        value = self.stack.pop()
        self.update([self.stack.pop(), value])

    def additems(self) -> None:
        values = self.to_mark()
        if not isinstance(self.stack[-1], Items):
            raise malformed("values are added to what is no set")
        self.stack[-1].values += values

    # --- memo ------------------------------------------------------------------------------------

    def put(self, index: int) -> None:
        # No pickler memoises more often than it writes opcodes; an unpickler's memo is as long as
        # the greatest index, so that a single number could claim all memory.
        if index in self.memo or not 0 <= index <= self.offset:
            raise malformed("a memo index is used twice or out of range")
        self.memo[index] = self.stack[-1]

    def binput(self, index: int) -> None:
        self.binary = True
        self.put(index)

    def memoize(self) -> None:
        self.put(len(self.memo))

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise malformed("a memo index was never set")
        self.stack.append(self.memo[index])

    # --- names, calls, states --------------------------------------------------------------------

    def stack_global(self) -> None:
        name = self.stack.pop()
        self.resolve(self.stack.pop(), name, "STACK_GLOBAL")

    def resolve(self, module: Node, name: Node, opcode: str) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Malformed("bad-name", "a global is named by what is no string")
        if not all(len(s) <= limits.NAME_CHARACTERS and _NAME.fullmatch(s) for s in (module, name)):
            raise Malformed("bad-name", f"{f'{module}:{name}'[:80]!a} is no name of Python")
        found = Global(f"{module}:{name}", self.offset, opcode)
        self.trace.resolved.append(found)
        self.trace.globals.setdefault(found.key, found)
        if len(self.trace.globals) > limits.GLOBALS:
            raise Malformed("limit", f"more than {limits.GLOBALS:,} different globals are named")
        self.stack.append(found)

    def reduce(self) -> None:
        args = self.stack.pop()
        callee = self.stack.pop()
        found = translation.translated(callee, args)
        if found is None:
            self._make("call", callee, args, "REDUCE")
            return
        self.trace.used.add(id(found.used))
        if not found.name.is_module:
            self.trace.globals.setdefault(found.name.key, found.name)
        if found.args is None:
            self.stack.append(found.name)
            return
        self._make("call", found.name, found.args, "REDUCE")
        for state in found.states:
            self.stack.append(state)
            self.build()

    def newobj(self) -> None:
        args = self.stack.pop()
        self._make("new", self.stack.pop(), args, "NEWOBJ")

    def newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self._make("new", self.stack.pop(), args, "NEWOBJ_EX")
        if not isinstance(kwargs, DictNode):
            raise malformed("keyword arguments are no dict")
        self.stack[-1].kwargs = kwargs

    def _make(self, how: Literal["call", "new"], callee: Node, args: Node, opcode: str) -> None:
        if not isinstance(callee, Global):
            raise self._computed(callee, args)
        if not isinstance(args, tuple):
            raise malformed("the arguments of a call are no tuple")
        self.trace.arguments += len(args)
        if self.trace.arguments > limits.ARGUMENTS_FLOOR + limits.ARGUMENTS * self.trace.opcodes:
            # Each call would be judged by as many values, however few bytes it takes.
            raise Malformed("limit", "its calls share more arguments than models do")
        made = ObjectNode(how, callee, args, self.offset, opcode)
        self.trace.objects.append(made)
        self.stack.append(made)

    def _computed(self, callee: Node, args: Node) -> Malformed:
        """What is wrong with a call of what another call gives. cloudpickle makes code objects so,
        by `_builtin_type("CodeType")`.
        """
        is_code = isinstance(callee, ObjectNode) and callee.cls.key == _BUILTIN_TYPE
        if not is_code or not isinstance(args, tuple):
            return Malformed("computed-call", "what is called is not named but computed")
        self.trace.pythons = pythons(args)
        versions = " or ".join(self.trace.pythons) or "of a version that is not known"
        return Malformed(
            "byte-code",
            "cloudpickle saved functions or classes in it as byte code, which may do anything and "
            f"which no other Python runs than the one that wrote it: Python {versions}",
            global_=_BUILTIN_TYPE,
        )

    def build(self) -> ObjectNode:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, ObjectNode):
            raise Malformed("state-of-non-object", "a state is given to what is no object")
        target.states.append(state)
        ndarrays.check_state(target, state)
        if target.cls.key == dtypes.DTYPE:
            target.dtype = dtypes.read(target)
        return target


# bytecode.json is made by scripts/make_bytecode.py from the Pythons themselves. Byte code of 3.10
# is told from that of 3.8 and 3.9 by its line table (PEP 626), whose steps cover all of the code;
# that of 3.11 and later by its caches. Where the code is short, more than one Python may have
# written it.
_CACHE, _WORD = 0, 2  # the opcode that stands for a word of cache; bytes of an instruction


def pythons(arguments: Sequence[Node]) -> tuple[str, ...]:
    """The versions ("3.11"), oldest first, that a code object of these arguments may be of; none
    where no known one fits.
    """
    versions = [v for v, told in _table().items() if told["arguments"] == len(arguments)]
    found = [argument for argument in arguments if isinstance(argument, bytes)]
    if not found:  # too long to be kept
        return tuple(versions)
    code, lines = found[0], found[1] if len(found) > 1 else b""
    fitting = [version for version in versions if _is_of(code, _table()[version])]
    if "3.10" in fitting:
        covers = sum(lines[::_WORD]) == len(code)
        fitting = [version for version in fitting if (version == "3.10") == covers]
    return tuple(fitting)


def specifier(versions: Sequence[str]) -> str | None:
    """A specifier of no other Pythons than these, which follow each other."""
    if not versions:
        return None
    major, minor = versions[-1].split(".")
    after = f"{major}.{int(minor) + 1}"
    return f"=={versions[0]}.*" if len(versions) == 1 else f">={versions[0]},<{after}"


def _is_of(code: bytes, told: dict[str, Any]) -> bool:
    """Whether the code is made of this Python's instructions, with caches where it has them."""
    opcodes, caches = set(told["opcodes"]), told["caches"]
    at = 0
    while at < len(code):
        opcode = code[at]
        count = caches.get(str(opcode), 0)
        words = code[at + _WORD : at + _WORD * (count + 1)]
        if opcode not in opcodes or (caches and opcode == _CACHE) or any(words):
            return False
        at += _WORD * (count + 1)
    return at == len(code) and told["resume"] in {None, *code[::_WORD]}


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "bytecode.json").read_text("utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table
