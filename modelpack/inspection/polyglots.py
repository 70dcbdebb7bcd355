"""Files that an unpickler would run, although they are in another format or no pickle at all.

Unpicklers accept much that picklers never write, so a file may begin as another format or as
text, and still be a pickle. This scan follows the opcodes as leniently as any unpickler, and reads
their arguments only as far as needed to skip them.
"""

from __future__ import annotations

import pickletools
import re

from . import limits
from .allowlist import standing
from .nodes import Malformed
from .stream import Reader

_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_LINE, _LENGTHS = -1, {-2: (1, False), -3: (4, True), -4: (4, False), -5: (8, False)}
"""How `pickletools` describes the size of an argument: a line, or a length of so many bytes."""

_ENDS = {"STOP", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"}
"""The end of the pickle, and opcodes that unpicklers refuse unless their caller expects them."""

_NAMES = {"GLOBAL", "INST"}
_LOOKUPS = {*_NAMES, "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_EFFECTS = {
    "ADDITEMS", "APPEND", "APPENDS", "BUILD", "INST", "NEWOBJ", "NEWOBJ_EX", "OBJ", "REDUCE",
    "SETITEM", "SETITEMS",
}  # fmt: skip
"""Opcodes that call something, or a method of it."""

_NUMBER = re.compile(rb"[\w+\-. \t\r\f\v]*", re.ASCII)
_WORD = re.compile(r"\S+")


def runs_code(reader: Reader, max_opcodes: int) -> bool:
    """Return whether unpickling would look up a name and use it, before it ends or fails.

    A file with more opcodes than `max_opcodes` counts as one that does.
    """
    depth, has_names = 0, False  # at most so many values and marks are on the stack
    try:
        for _ in range(max_opcodes):
            opcode = _OPCODES.get(reader.take(1)[0])
            if opcode is None or opcode.name in _ENDS:
                return False
            taken = sum(each is not pickletools.stackslice for each in opcode.stack_before)
            if taken > depth:
                return False
            depth += len(opcode.stack_after) - taken
            key = _argument(reader, opcode)
            has_names = has_names or opcode.name in _LOOKUPS
            if (has_names and opcode.name in _EFFECTS) or (key and standing(key) != "unknown"):
                return True
    except Malformed as problem:
        return problem.code == "limit"  # a line that is too long to read; otherwise the end
    except ValueError:
        return False
    return True


def _argument(reader: Reader, opcode: pickletools.OpcodeInfo) -> str | None:
    """Skip the argument of an opcode. Return the name in it as "module:name", if there is one.

    Raises:
        Malformed: It is cut, or too long.
        ValueError: Unpicklers refuse it.
    """
    if opcode.arg is None:
        return None
    if opcode.name in _NAMES:
        module, name = (reader.line().decode("utf-8") for _ in range(2))
        if not (_WORD.fullmatch(module) and _WORD.fullmatch(name)):
            raise ValueError("no name")
        return f"{module}:{name}"
    if opcode.arg.n == _LINE:
        line = reader.line(limits.ARRAY_LINE_BYTES)
        if opcode.name == "STRING" and line[:1] not in {b"'", b'"'}:
            raise ValueError("no quotes")
        if opcode.name not in {"STRING", "UNICODE"} and not _NUMBER.fullmatch(line):
            raise ValueError("no number")
        return None
    size = opcode.arg.n
    if size in _LENGTHS:
        count, signed = _LENGTHS[size]
        size = int.from_bytes(reader.take(count), "little", signed=signed)
    if size < 0:
        raise ValueError("a negative length")
    reader.value(size)
    return None
