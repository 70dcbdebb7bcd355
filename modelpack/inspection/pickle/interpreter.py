"""The opcode loop and table.

The opcodes are those that CPython's Lib/pickletools.py documents.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from ..nodes import DictNode, Items, Malformed, Node, ObjectNode, Payload, PersistentId
from ..stream import Reader
from . import scalars
from .machine import Machine, Trace, malformed
from .ndarrays import is_wrapper, layout
from .scalars import (
    F8,
    I4,
    U2,
    U4,
    U8,
    byte,
    decimal,
    fixed,
    int_line,
    long,
    long_line,
    python2,
    python2_line,
    short_string,
    string,
    text_line,
    unicode_line,
)

HIGHEST_PROTOCOL = 5

_STOP = pickle.STOP[0]


def run(reader: Reader, trace: Trace) -> Node:
    """Read the pickle at the reader's position to its STOP, and return its root.

    Raises:
        Malformed: No pickler writes this, or a limit is exceeded. `trace` contains the part that
            was read.
    """
    return _run(Machine(reader, trace))


def _run(m: Machine) -> Node:
    try:
        return _loop(m)
    except Malformed as problem:
        raise _located(m, problem) from None
    except struct.error:
        raise _located(m, m.reader.cut()) from None
    except IndexError:
        cut = m.reader.cut() if m.reader.at_end() else malformed("the stack is empty")
        raise _located(m, cut) from None
    except (ValueError, OverflowError):
        raise _located(m, malformed("the argument of an opcode cannot be read")) from None


def _loop(m: Machine) -> Node:
    reader, trace = m.reader, m.trace
    while trace.opcodes < trace.max_opcodes:
        if reader.position >= reader.check:
            reader.boundary()
        position = reader.position
        opcode = reader.buffer[position]
        if opcode in scalars.OPCODES and (done := scalars.run(m)):
            trace.opcodes += done
            continue
        m.offset = reader.base + position
        reader.position = position + 1
        trace.opcodes += 1
        if opcode == _STOP:
            return m.stop()
        _HANDLERS[opcode](m)
    message = f"the pickle has more than {trace.max_opcodes:,} opcodes, for a file of its size"
    raise Malformed("limit", message)


def _located(m: Machine, problem: Malformed) -> Malformed:
    if problem.offset is None:
        problem.offset = m.offset
    if problem.code == "truncated":
        m.leave_unfinished()
    at = m.offset - m.reader.base
    if problem.opcode is None and 0 <= at < len(m.reader.buffer):
        problem.opcode = _NAMES.get(m.reader.buffer[at])
    return problem


def _proto(m: Machine) -> None:
    version = byte(m.reader)
    if m.offset != m.start or version > HIGHEST_PROTOCOL:
        raise malformed("PROTO is not the first opcode, or the protocol is unknown")
    m.protocol = version


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.to_mark()
    _expect_get(m)


def _pop_mark(m: Machine) -> None:
    m.to_mark()
    _expect_get(m)


def _expect_get(m: Machine) -> None:
    # Picklers drop values only for a tuple that contains itself.
    if m.reader.buffer[m.reader.position] not in _AFTER_POP:
        raise Malformed("dropped-value", "a value is created and dropped")


def _global(m: Machine) -> None:
    module = m.reader.line().decode("utf-8")
    m.resolve(module, m.reader.line().decode("utf-8"), "GLOBAL")


def _build(m: Machine) -> None:
    target = m.build()
    if not m.nested and is_wrapper(target):
        m.stack[-1] = _payload(m, target)


def _payload(m: Machine, wrapper: ObjectNode) -> Payload:
    """Read the array that joblib writes behind its wrapper, outside of the frames of the pickle."""
    reader = m.reader
    reader.end_frame()
    if reader.frame_end is not None:
        raise Malformed("broken-frame", "a joblib array begins inside a frame")
    m.trace.payloads += 1
    payload, size, aligned = layout(wrapper)
    if size is None:
        payload.inner = _run(Machine(reader, m.trace, nested=True))
        return payload
    if aligned:
        _padding(reader)
    payload.data = reader.value(size)
    return payload


def _padding(reader: Reader) -> None:
    padding = reader.take(reader.take(1)[0])
    if len(padding) > 16 or padding.strip(b"\xff"):
        raise Malformed("broken-array", "joblib does not write such padding before an array")


def _forbidden(_: Machine) -> None:
    raise Malformed("forbidden-opcode", "picklers of models do not write this opcode")


def _inst(m: Machine) -> None:
    _global(m)  # adds the name to the trace
    _forbidden(m)


def _persistent_id(m: Machine) -> None:
    if not m.trace.has_persistent_ids:
        _forbidden(m)
    m.trace.persistent.append(PersistentId(m.stack.pop()))
    m.stack.append(m.trace.persistent[-1])


def _unknown(_: Machine) -> None:
    raise malformed("an opcode is unknown")


Handler = Callable[[Machine], None]


def _constant(value: Any) -> Handler:
    return lambda m: m.stack.append(value)


def _scalar(read: Callable[[Reader], Node]) -> Handler:
    return lambda m: m.stack.append(read(m.reader))


_OPCODES: dict[str, Handler] = {
    "PROTO": _proto,
    "FRAME": lambda m: m.reader.open_frame(fixed(m.reader, U8)),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "INT": _scalar(int_line),
    "LONG": _scalar(long_line),
    "BININT": lambda m: m.stack.append(fixed(m.reader, I4)),
    "BININT1": _scalar(byte),
    "BININT2": lambda m: m.stack.append(fixed(m.reader, U2)),
    "LONG1": _scalar(lambda r: long(r, byte(r))),
    "LONG4": _scalar(lambda r: long(r, fixed(r, I4))),
    "FLOAT": _scalar(lambda r: float(text_line(r))),
    "BINFLOAT": lambda m: m.stack.append(fixed(m.reader, F8)),
    "UNICODE": _scalar(unicode_line),
    "SHORT_BINUNICODE": _scalar(short_string),
    "BINUNICODE": _scalar(lambda r: string(r, fixed(r, U4))),
    "BINUNICODE8": _scalar(lambda r: string(r, fixed(r, U8))),
    "SHORT_BINBYTES": _scalar(lambda r: r.value(byte(r))),
    "BINBYTES": _scalar(lambda r: r.value(fixed(r, U4))),
    "BINBYTES8": _scalar(lambda r: r.value(fixed(r, U8))),
    "BYTEARRAY8": _scalar(lambda r: r.value(fixed(r, U8))),
    "STRING": _scalar(python2_line),
    "SHORT_BINSTRING": _scalar(lambda r: python2(r, byte(r))),
    "BINSTRING": _scalar(lambda r: python2(r, fixed(r, U4))),
    "MARK": Machine.mark,
    "EMPTY_TUPLE": _constant(()),
    "TUPLE": lambda m: m.gather(tuple),
    "TUPLE1": lambda m: m.tuple(1),
    "TUPLE2": lambda m: m.tuple(2),
    "TUPLE3": lambda m: m.tuple(3),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "LIST": lambda m: m.gather(list),
    "APPEND": lambda m: m.extend([m.stack.pop()]),
    "APPENDS": lambda m: m.extend(m.to_mark()),
    "EMPTY_DICT": lambda m: m.stack.append(DictNode()),
    "DICT": lambda m: m.gather(lambda values: m.pairs(DictNode(), values)),
    "SETITEM": Machine.setitem,
    "SETITEMS": lambda m: m.update(m.to_mark()),
    "EMPTY_SET": lambda m: m.stack.append(Items([])),
    "ADDITEMS": Machine.additems,
    "FROZENSET": lambda m: m.gather(Items),
    "PUT": lambda m: m.put(decimal(text_line(m.reader))),
    "BINPUT": lambda m: m.binput(byte(m.reader)),
    "LONG_BINPUT": lambda m: m.binput(fixed(m.reader, U4)),
    "MEMOIZE": Machine.memoize,
    "GET": lambda m: m.get(decimal(text_line(m.reader))),
    "BINGET": lambda m: m.get(byte(m.reader)),
    "LONG_BINGET": lambda m: m.get(fixed(m.reader, U4)),
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "GLOBAL": _global,
    "STACK_GLOBAL": Machine.stack_global,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.newobj,
    "NEWOBJ_EX": Machine.newobj_ex,
    "BUILD": _build,
    "INST": _inst,
    "OBJ": _forbidden,
    "DUP": _forbidden,
    "EXT1": _forbidden,
    "EXT2": _forbidden,
    "EXT4": _forbidden,
    "PERSID": _forbidden,
    "BINPERSID": _persistent_id,
    "NEXT_BUFFER": _forbidden,
    "READONLY_BUFFER": _forbidden,
}
_NAMES = {getattr(pickle, name)[0]: name for name in [*_OPCODES, "STOP"]}
_HANDLERS = [_OPCODES.get(_NAMES.get(code, ""), _unknown) for code in range(256)]
_AFTER_POP = {getattr(pickle, n)[0] for n in ("POP", "POP_MARK", "GET", "BINGET", "LONG_BINGET")}
