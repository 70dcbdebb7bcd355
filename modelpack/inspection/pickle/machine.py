"""Stack, memo and side effects of each opcode.

The machine builds inert nodes: it looks up no names and calls nothing. It accepts only what
picklers write. Unpicklers accept more, but only attackers use that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

from .. import limits, translation
from ..nodes import DictNode, Global, Items, Malformed, Node, ObjectNode, PersistentId
from ..stream import Reader
from . import bytecode, dtypes, ndarrays

_COMPILED = {"numpy", "pandas", "pyarrow", "scipy", "sklearn"}
"""Libraries whose compiled code trusts arguments, which are checked when the pickle has ended."""

_READ_AT_ONCE = _COMPILED - {"numpy"}
"""Of these, objects that a call made also read their state when it is set. In numpy, an array may
contain an object whose own state follows.
"""

_CONTAINERS = {tuple, list, DictNode, ObjectNode}
_FEW = 4

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass
class Trace:
    """The names and objects of a pickle, whether or not the root reaches them."""

    globals: dict[str, Global] = field(default_factory=dict)  # the first of each name
    resolved: list[Global] = field(default_factory=list)  # all
    used: set[int] = field(default_factory=set)  # ids of the names of translated helpers
    objects: list[ObjectNode] = field(default_factory=list)
    passed: dict[int, Node] = field(default_factory=dict)  # id -> argument of a call
    protocol: int | None = None
    payloads: int = 0
    opcodes: int = 0
    arguments: int = 0  # of all calls
    max_opcodes: int = limits.OPCODES[-1]
    versions: dict[str, str] = field(default_factory=dict)  # distribution -> specifier
    unfinished: set[int] = field(default_factory=set)  # ids of objects where the file was cut
    pythons: tuple[str, ...] = ()  # versions that may have written its byte code
    has_persistent_ids: bool = False  # as pickles in archives of PyTorch
    persistent: list[PersistentId] = field(default_factory=list)

    def add(self, name: Global) -> None:
        """Add a name to those of the pickle."""
        self.globals.setdefault(name.key, name)
        if len(self.globals) > limits.GLOBALS:
            raise Malformed("limit", f"it has more than {limits.GLOBALS:,} different globals")


def merge(traces: Sequence[Trace]) -> Trace:
    """Return the names and objects of several files as one trace."""
    if len(traces) == 1:
        return traces[0]
    total = Trace(
        protocol=max((t.protocol for t in traces if t.protocol is not None), default=None)
    )
    for trace in traces:
        total.globals = {**trace.globals, **total.globals}
        total.resolved += trace.resolved
        total.objects += trace.objects
        total.payloads += trace.payloads
        total.versions |= trace.versions
        total.pythons = total.pythons or trace.pythons
    return total


def _top(name: Global) -> str:
    return name.key.partition(":")[0].partition(".")[0]


def _containers(node: Node) -> list[Node]:
    values = node.values if isinstance(node, DictNode) else node
    return [each for each in values if type(each) in _CONTAINERS]


def malformed(message: str) -> Malformed:
    return Malformed("malformed", message)


class Machine:
    """The machine of one pickle.

    A nested pickle (an array of objects in a joblib file) has a separate machine with the same
    reader and trace.
    """

    def __init__(self, reader: Reader, trace: Trace, *, nested: bool = False) -> None:
        self.reader = reader
        self.trace = trace
        self.nested = nested
        self.start = reader.offset
        self.offset = self.start  # of the current opcode
        self.stack: list[Node] = []
        self.marks: list[list[Node]] = []
        self.memo: dict[int, Node] = {}
        self.protocol: int | None = None
        self.binary = False

    def leave_unfinished(self) -> None:
        """Record the objects on the stack, which the missing end of a file may complete."""
        values = chain(self.stack, *self.marks)
        self.trace.unfinished |= {id(each) for each in values if isinstance(each, ObjectNode)}

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
        self._require_own(target)
        if isinstance(target, ObjectNode):
            if target.appends is None:
                target.appends = []
            target.appends += values
        elif isinstance(target, list):
            target += values
        else:
            raise malformed("values are appended to an object that is not a list")

    def update(self, values: list[Node]) -> None:
        target = self.stack[-1]
        self._require_own(target)
        if isinstance(target, ObjectNode):
            target.pairs = target.pairs or DictNode()
            target = target.pairs
        if not isinstance(target, DictNode):
            raise malformed("items are set in an object that is not a dict")
        self.pairs(target, values)

    def setitem(self) -> None:
        value = self.stack.pop()
        self.update([self.stack.pop(), value])

    def additems(self) -> None:
        values = self.to_mark()
        if not isinstance(self.stack[-1], Items):
            raise malformed("values are added to an object that is not a set")
        self.stack[-1].values += values

    def _require_own(self, target: Node) -> None:
        """Refuse to change what compiled code has read: the checks see only its last content."""
        if id(target) in self.trace.passed:
            raise Malformed("bad-items", "what a call or an object has read changes later")

    def _pass(self, args: Sequence[Node]) -> None:
        """Add the objects and containers in these arguments to those that must not change."""
        waiting = _containers(args)
        while waiting:
            each = waiting.pop()
            if id(each) in self.trace.passed:
                continue
            inner = [] if isinstance(each, ObjectNode) else _containers(each)
            if inner or type(each) is not tuple or len(each) > _FEW:  # not for each shape
                self.trace.passed[id(each)] = each
            waiting += inner

    # --- memo ------------------------------------------------------------------------------------

    def put(self, index: int) -> None:
        # The memo of an unpickler is as long as the largest index, so a single number could claim
        # all memory. Picklers write fewer memo entries than opcodes.
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
            raise Malformed("bad-name", "the name of a global is not a string")
        if not all(len(s) <= limits.NAME_CHARACTERS and _NAME.fullmatch(s) for s in (module, name)):
            raise Malformed("bad-name", f"{f'{module}:{name}'[:80]!a} is not a name of Python")
        resolved = Global(f"{module}:{name}", self.offset, opcode)
        self.trace.resolved.append(resolved)
        self.trace.add(resolved)
        self.stack.append(resolved)

    def reduce(self) -> None:
        args = self.stack.pop()
        callee = self.stack.pop()
        if isinstance(callee, Global) and isinstance(args, tuple):
            self._refuse_dill(callee, args)
        result = translation.translated(callee, args)
        if result is None:
            self._create("call", callee, args, "REDUCE")
            return
        self.trace.used.update(map(id, result.used))
        if not result.name.is_module:
            self.trace.globals.setdefault(result.name.key, result.name)
        if result.args is None:
            self.stack.append(result.name)
            return
        self._create("call", result.name, result.args, "REDUCE")
        for state in result.states:
            self.stack.append(state)
            self.build()

    def _refuse_dill(self, callee: Global, args: Sequence[Node]) -> None:
        """Refuse what dill saves as byte code, and its sessions, which begin with `__main__`."""
        if callee.key in bytecode.DILL:
            raise self._byte_code(callee, args)
        if callee.key in bytecode.DILL_MODULE and args == ("__main__",) and not self.trace.objects:
            message = "the file is a session of dill, with all variables of a program"
            raise Malformed("dill-session", message, global_=callee.key)

    def newobj(self) -> None:
        args = self.stack.pop()
        self._create("new", self.stack.pop(), args, "NEWOBJ")

    def newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self._create("new", self.stack.pop(), args, "NEWOBJ_EX")
        if not isinstance(kwargs, DictNode):
            raise malformed("the keyword arguments of a call are not a dict")
        self.stack[-1].kwargs = kwargs

    def _create(self, how: Literal["call", "new"], callee: Node, args: Node, opcode: str) -> None:
        if not isinstance(callee, Global):
            raise self._computed(callee, args)
        if not isinstance(args, tuple):
            raise malformed("the arguments of a call are not a tuple")
        self.trace.arguments += len(args)
        if self.trace.arguments > limits.ARGUMENTS_FLOOR + limits.ARGUMENTS * self.trace.opcodes:
            # The checks visit all arguments of each call, even if they are shared.
            raise Malformed("limit", "its calls share too many arguments")
        if how == "call" and _top(callee) in _COMPILED:
            self._pass(args)
        node = ObjectNode(how, callee, args, self.offset, opcode)
        self.trace.objects.append(node)
        self.stack.append(node)

    def _computed(self, callee: Node, args: Node) -> Malformed:
        """Return the error for a call of a computed value."""
        is_known = isinstance(callee, ObjectNode) and isinstance(args, tuple)
        if is_known and (saver := bytecode.saver_of_type(callee)):
            return self._byte_code(saver, args)
        return Malformed("computed-call", "the target of a call is computed, not named")

    def _byte_code(self, saver: Global, args: Sequence[Node]) -> Malformed:
        args = bytecode.code_arguments(saver, args)
        self.trace.pythons = bytecode.pythons(args)
        return Malformed("byte-code", bytecode.description(saver, args), global_=saver.key)

    def build(self) -> ObjectNode:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, ObjectNode):
            raise Malformed("state-of-non-object", "a state is set on a value that has none")
        self._require_own(target)
        if target.how == "call" and _top(target.cls) in _READ_AT_ONCE:
            self._pass((state,))
        target.states.append(state)
        ndarrays.check_state(target, state)
        if target.cls.key == dtypes.DTYPE:
            target.dtype = dtypes.read(target)
        return target
