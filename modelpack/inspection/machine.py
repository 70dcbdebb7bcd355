"""A symbolic pickle machine: opcodes in, inert nodes out. It looks nothing up and calls nothing.

The opcodes are those that CPython's pickletools documents. Of the language, only what picklers
write is admitted: what unpicklers accept beyond it serves nobody but attackers.
"""

from __future__ import annotations

import codecs
import pickle
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import limits
from .nodes import Blob, Dct, Global, Items, Malformed, Node, Obj, Payload
from .payloads import is_wrapper, layout
from .reader import Reader

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_STOP = pickle.STOP[0]


@dataclass
class Trace:
    """All that was met on the way, whether the root reaches it or not."""

    globals: dict[str, Global] = field(default_factory=dict)  # the first of each name
    resolved: list[Global] = field(default_factory=list)  # each one
    objects: list[Obj] = field(default_factory=list)
    protocol: int | None = None
    payloads: int = 0


class Machine:
    """Runs one pickle. A nested one (an array of objects in a joblib file) gets a machine of its
    own on the same reader and trace.
    """

    def __init__(self, reader: Reader, trace: Trace, *, nested: bool = False) -> None:
        self.reader = reader
        self.trace = trace
        self.nested = nested
        self.start = reader.offset
        self.offset = self.start  # of the opcode at hand
        self.opcode = ""
        self.stack: list[Node] = []
        self.marks: list[list[Node]] = []
        self.memo: dict[int, Node] = {}
        self.protocol: int | None = None
        self.binary = False

    def run(self) -> Node:
        """The root of the pickle, read to its STOP.

        Raises:
            Malformed: no pickler writes this, or it is beyond the limits.
        """
        try:
            return self._loop()
        except Malformed as problem:
            raise self._located(problem) from None
        except struct.error:
            raise self._located(self.reader.cut()) from None
        except IndexError:
            cut = self.reader.cut() if self.reader.at_end() else self._bad("the stack is empty")
            raise self._located(cut) from None
        except (ValueError, OverflowError):
            raise self._located(self._bad("the argument of an opcode cannot be read")) from None

    def _loop(self) -> Node:
        reader = self.reader
        for _ in range(limits.OPCODES):
            if reader.position >= reader.check:
                reader.boundary()
            position = reader.position
            opcode = reader.buffer[position]
            self.offset = reader.base + position
            reader.position = position + 1
            if opcode == _STOP:
                return self._stop()
            _HANDLERS[opcode](self)
        raise Malformed("limit", f"the pickle has more than {limits.OPCODES:,} opcodes")

    def _located(self, problem: Malformed) -> Malformed:
        if problem.offset is None:
            problem.offset = self.offset
        if problem.opcode is None:
            at = self.offset - self.reader.base
            code = self.reader.buffer[at] if 0 <= at < len(self.reader.buffer) else -1
            problem.opcode = _NAMES.get(code)
        return problem

    def _bad(self, message: str) -> Malformed:
        return Malformed("malformed", message)

    def _stop(self) -> Node:
        self.reader.end_frame()
        if len(self.stack) != 1 or self.marks or self.reader.frame_end is not None:
            raise self._bad("the pickle ends with values left over")
        if not self.nested:
            old = 1 if self.binary else 0
            self.trace.protocol = old if self.protocol is None else self.protocol
        return self.stack[0]

    def _proto(self) -> None:
        version = self._byte()
        if self.offset != self.start or version > pickle.HIGHEST_PROTOCOL:
            raise self._bad("PROTO is not the first opcode, or names an unknown protocol")
        self.protocol = version

    def _frame(self) -> None:
        self.reader.open_frame(self._fixed(_U8))

    # --- arguments -------------------------------------------------------------------------------

    def _byte(self) -> int:
        reader = self.reader
        value = reader.buffer[reader.position]
        reader.position += 1
        return value

    def _fixed(self, kind: struct.Struct) -> Any:
        reader = self.reader
        value = kind.unpack_from(reader.buffer, reader.position)[0]
        reader.position += kind.size
        return value

    def _text_line(self) -> str:
        return self.reader.line().decode("ascii")

    # --- scalars ---------------------------------------------------------------------------------

    def _int_line(self) -> None:
        line = self._text_line()
        self.stack.append(line == "01" if line in {"00", "01"} else self._decimal(line))

    def _long_line(self) -> None:
        self.stack.append(self._decimal(self._text_line().removesuffix("L")))

    def _decimal(self, text: str) -> int:
        if len(text) > limits.INTEGER_BYTES:
            raise Malformed("limit", "an integer has more than a thousand digits")
        return int(text)

    def _long(self, length: int) -> None:
        if not 0 <= length <= limits.INTEGER_BYTES:
            raise Malformed("limit", "an integer is longer than 1 KiB")
        self.stack.append(int.from_bytes(self.reader.take(length), "little", signed=True))

    def _bytes(self, length: int) -> None:
        if length < 0:
            raise self._bad("a string has a negative length")
        self.stack.append(self.reader.value(length))

    def _string(self, length: int) -> None:
        data = self.reader.value(length)
        if isinstance(data, bytes):
            self.stack.append(data.decode("utf-8", "surrogatepass"))
        else:
            self.stack.append(data)

    def _short_string(self) -> None:
        reader = self.reader
        start = reader.position + 1
        end = start + reader.buffer[reader.position]
        if end > len(reader.buffer):
            reader.position = start
            self._string(end - start)
            return
        reader.position = end
        self.stack.append(reader.buffer[start:end].decode("utf-8", "surrogatepass"))

    def _python2(self, data: bytes | Blob) -> None:
        """Python 2 wrote bytes and text alike; both are kept as the text of their bytes."""
        self.stack.append(data.decode("latin-1") if isinstance(data, bytes) else data)

    def _python2_line(self) -> None:
        line = self.reader.line()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b"'", b'"'}:
            raise self._bad("a string has no quotes")
        self._python2(codecs.escape_decode(line[1:-1])[0])

    def _unicode_line(self) -> None:
        offset = self.reader.offset
        line = self.reader.line(limits.ARRAY_LINE_BYTES)
        text = line.decode("raw-unicode-escape")
        is_long = len(line) > limits.KEPT_BYTES
        head = text[: limits.HEAD_BYTES].encode("latin-1", "replace")
        self.stack.append(Blob(offset, len(line), head) if is_long else text)

    # --- containers ------------------------------------------------------------------------------

    def _mark(self) -> None:
        if len(self.marks) >= limits.MARKS:
            raise Malformed("limit", f"more than {limits.MARKS:,} marks are open")
        self.marks.append(self.stack)
        self.stack = []

    def _to_mark(self) -> list[Node]:
        values = self.stack
        self.stack = self.marks.pop()
        return values

    def _gather(self, kind: Callable[[list[Node]], Node]) -> None:
        values = self._to_mark()
        self.stack.append(kind(values))

    def _pairs(self, target: Dct, values: list[Node]) -> Dct:
        if len(values) % 2:
            raise self._bad("a key has no value")
        target.keys += values[::2]
        target.values += values[1::2]
        return target

    def _tuple(self, count: int) -> None:
        if count > len(self.stack):
            raise self._bad("the stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _extend(self, values: list[Node]) -> None:
        target = self.stack[-1]
        if isinstance(target, Obj):
            target.appends = (target.appends or []) + values
        elif isinstance(target, list):
            target += values
        else:
            raise self._bad("values are appended to what is no list")

    def _update(self, values: list[Node]) -> None:
        target = self.stack[-1]
        if isinstance(target, Obj):
            target.pairs = target.pairs or Dct()
            target = target.pairs
        if not isinstance(target, Dct):
            raise self._bad("items are set in what is no dict")
        self._pairs(target, values)

    def _setitem(self) -> None:
        value = self.stack.pop()
        self._update([self.stack.pop(), value])

    def _additems(self) -> None:
        values = self._to_mark()
        if not isinstance(self.stack[-1], Items):
            raise self._bad("values are added to what is no set")
        self.stack[-1].values += values

    # --- memo ------------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        # No pickler memoises more often than it writes opcodes; an unpickler's memo is as long as
        # the greatest index, so that a single number could claim all memory.
        if index in self.memo or not 0 <= index <= self.offset:
            raise self._bad("a memo index is used twice or out of range")
        self.memo[index] = self.stack[-1]

    def _binput(self, index: int) -> None:
        self.binary = True
        self._put(index)

    def _memoize(self) -> None:
        self._put(len(self.memo))

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise self._bad("a memo index was never set")
        self.stack.append(self.memo[index])

    def _pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._to_mark()
        self._expect_get()

    def _pop_mark(self) -> None:
        self._to_mark()
        self._expect_get()

    def _expect_get(self) -> None:
        # Picklers drop values for one reason: a tuple holds itself and was made in the meantime.
        if self.reader.buffer[self.reader.position] not in _AFTER_POP:
            raise Malformed("dropped-value", "a value is made and dropped")

    # --- names, calls, states --------------------------------------------------------------------

    def _global(self) -> None:
        module = self.reader.line().decode("utf-8")
        self._resolve(module, self.reader.line().decode("utf-8"), "GLOBAL")

    def _stack_global(self) -> None:
        name = self.stack.pop()
        self._resolve(self.stack.pop(), name, "STACK_GLOBAL")

    def _resolve(self, module: Node, name: Node, opcode: str) -> None:
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

    def _reduce(self) -> None:
        args = self.stack.pop()
        self._make("call", self.stack.pop(), args, "REDUCE")

    def _newobj(self) -> None:
        args = self.stack.pop()
        self._make("new", self.stack.pop(), args, "NEWOBJ")

    def _newobj_ex(self) -> None:
        kwargs = self.stack.pop()
        args = self.stack.pop()
        self._make("new", self.stack.pop(), args, "NEWOBJ_EX")
        if not isinstance(kwargs, Dct):
            raise self._bad("keyword arguments are no dict")
        self.stack[-1].kwargs = kwargs

    def _make(self, how: Any, callee: Node, args: Node, opcode: str) -> None:
        if not isinstance(callee, Global):
            raise Malformed("computed-call", "what is called is not named but computed")
        if not isinstance(args, tuple):
            raise self._bad("the arguments of a call are no tuple")
        made = Obj(how, callee, args, self.offset, opcode)
        self.trace.objects.append(made)
        self.stack.append(made)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Obj):
            raise Malformed("state-of-non-object", "a state is given to what is no object")
        target.states.append(state)
        if is_wrapper(target) and not self.nested:
            self.stack[-1] = self._payload(target)

    def _payload(self, wrapper: Obj) -> Payload:
        """The array that joblib writes behind its wrapper, outside of the pickle's frames."""
        reader = self.reader
        reader.end_frame()
        if reader.frame_end is not None:
            raise Malformed("broken-frame", "an array of joblib begins inside a frame")
        self.trace.payloads += 1
        payload, size, aligned = layout(wrapper)
        if size is None:
            payload.inner = Machine(reader, self.trace, nested=True).run()
            return payload
        if aligned:
            self._padding()
        payload.data = reader.value(size)
        return payload

    def _padding(self) -> None:
        padding = self.reader.take(self.reader.take(1)[0])
        if len(padding) > 16 or padding.strip(b"\xff"):
            raise Malformed("broken-array", "the padding before an array is not joblib's")

    # --- what no pickler of a model writes -------------------------------------------------------

    def _forbidden(self) -> None:
        raise Malformed("forbidden-opcode", "picklers of models do not write this opcode")

    def _inst(self) -> None:
        self._global()
        raise Malformed(
            "forbidden-opcode",
            "picklers of models do not write this opcode",
            global_=self.stack[-1].key,
        )

    def _unknown(self) -> None:
        raise Malformed("malformed", "this is no opcode of pickle")


_I4, _U2, _U4, _U8, _F8 = (struct.Struct(f) for f in ("<i", "<H", "<I", "<Q", ">d"))

Handler = Callable[[Machine], None]


def _constant(value: Any) -> Handler:
    return lambda m: m.stack.append(value)


_OPCODES: dict[str, Handler] = {
    "PROTO": Machine._proto,
    "FRAME": Machine._frame,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "INT": Machine._int_line,
    "LONG": Machine._long_line,
    "BININT": lambda m: m.stack.append(m._fixed(_I4)),
    "BININT1": lambda m: m.stack.append(m._byte()),
    "BININT2": lambda m: m.stack.append(m._fixed(_U2)),
    "LONG1": lambda m: m._long(m._byte()),
    "LONG4": lambda m: m._long(m._fixed(_I4)),
    "FLOAT": lambda m: m.stack.append(float(m._text_line())),
    "BINFLOAT": lambda m: m.stack.append(m._fixed(_F8)),
    "UNICODE": Machine._unicode_line,
    "SHORT_BINUNICODE": Machine._short_string,
    "BINUNICODE": lambda m: m._string(m._fixed(_U4)),
    "BINUNICODE8": lambda m: m._string(m._fixed(_U8)),
    "SHORT_BINBYTES": lambda m: m._bytes(m._byte()),
    "BINBYTES": lambda m: m._bytes(m._fixed(_U4)),
    "BINBYTES8": lambda m: m._bytes(m._fixed(_U8)),
    "BYTEARRAY8": lambda m: m._bytes(m._fixed(_U8)),
    "STRING": Machine._python2_line,
    "SHORT_BINSTRING": lambda m: m._python2(m.reader.value(m._byte())),
    "BINSTRING": lambda m: m._python2(m.reader.value(m._fixed(_U4))),
    "MARK": Machine._mark,
    "EMPTY_TUPLE": _constant(()),
    "TUPLE": lambda m: m._gather(tuple),
    "TUPLE1": lambda m: m._tuple(1),
    "TUPLE2": lambda m: m._tuple(2),
    "TUPLE3": lambda m: m._tuple(3),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "LIST": lambda m: m._gather(list),
    "APPEND": lambda m: m._extend([m.stack.pop()]),
    "APPENDS": lambda m: m._extend(m._to_mark()),
    "EMPTY_DICT": lambda m: m.stack.append(Dct()),
    "DICT": lambda m: m._gather(lambda values: m._pairs(Dct(), values)),
    "SETITEM": Machine._setitem,
    "SETITEMS": lambda m: m._update(m._to_mark()),
    "EMPTY_SET": lambda m: m.stack.append(Items([])),
    "ADDITEMS": Machine._additems,
    "FROZENSET": lambda m: m._gather(Items),
    "PUT": lambda m: m._put(int(m._text_line())),
    "BINPUT": lambda m: m._binput(m._byte()),
    "LONG_BINPUT": lambda m: m._binput(m._fixed(_U4)),
    "MEMOIZE": Machine._memoize,
    "GET": lambda m: m._get(int(m._text_line())),
    "BINGET": lambda m: m._get(m._byte()),
    "LONG_BINGET": lambda m: m._get(m._fixed(_U4)),
    "POP": Machine._pop,
    "POP_MARK": Machine._pop_mark,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._newobj,
    "NEWOBJ_EX": Machine._newobj_ex,
    "BUILD": Machine._build,
    "INST": Machine._inst,
    "OBJ": Machine._forbidden,
    "DUP": Machine._forbidden,
    "EXT1": Machine._forbidden,
    "EXT2": Machine._forbidden,
    "EXT4": Machine._forbidden,
    "PERSID": Machine._forbidden,
    "BINPERSID": Machine._forbidden,
    "NEXT_BUFFER": Machine._forbidden,
    "READONLY_BUFFER": Machine._forbidden,
}

_NAMES = {getattr(pickle, name)[0]: name for name in [*_OPCODES, "STOP"]}
_HANDLERS = [
    _OPCODES[_NAMES[code]] if _NAMES.get(code) in _OPCODES else Machine._unknown
    for code in range(256)
]
_AFTER_POP = {getattr(pickle, n)[0] for n in ("POP", "POP_MARK", "GET", "BINGET", "LONG_BINGET")}
