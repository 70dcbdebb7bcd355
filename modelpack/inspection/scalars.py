"""The opcodes that large files are made of, done in one loop: those that push a scalar, and those
that give what is on top of the stack a number in the memo.

Through a handler for each, as `interpreter` has them, a vocabulary takes 2.2 times as long, and a
list of floats 3.8 times.
"""

from __future__ import annotations

import pickle
import re
import struct
from itertools import chain

from . import limits
from .arguments import I4, U2, U4
from .machine import Machine
from .reader import LONGEST_FIXED

_TEXT, _LONG_TEXT = pickle.SHORT_BINUNICODE[0], pickle.BINUNICODE[0]
_MEMOIZE, _PUT = pickle.MEMOIZE[0], pickle.LONG_BINPUT[0]
_INT1, _INT2, _INT4, _FLOAT = (
    code[0] for code in (pickle.BININT1, pickle.BININT2, pickle.BININT, pickle.BINFLOAT)
)
_CONSTANTS = {pickle.NONE[0]: None, pickle.NEWTRUE[0]: True, pickle.NEWFALSE[0]: False}

OPCODES = {_TEXT, _LONG_TEXT, _MEMOIZE, _PUT, _INT1, _INT2, _INT4, _FLOAT, *_CONSTANTS}

_FLOATS = re.compile(rb"(?:G.{8})+", re.DOTALL)
_one_float = struct.Struct(">xd")


def run(m: Machine) -> int:
    """Do what the handlers would, up to the first opcode that is none of these. How many were done.

    Whatever is unusual (a value that goes on in the next chunk, a text with lone surrogates, a
    number that is taken) is left to the handlers, and so are the last bytes at hand.
    """
    reader, before = m.reader, len(m.stack) + len(m.memo)
    limit = len(reader.buffer)
    if reader.frame_end is not None:  # the handlers say it of a value that reaches over its frame
        limit = min(limit, reader.frame_end - reader.base)
    _run(m, min(reader.check, limit - LONGEST_FIXED), limit)
    return len(m.stack) + len(m.memo) - before


def _run(m: Machine, end: int, limit: int) -> None:  # noqa: PLR0912, PLR0915 - each call less is the point
    reader, stack, memo = m.reader, m.stack, m.memo
    buffer, position, push = reader.buffer, reader.position, stack.append
    try:
        while position < end:
            opcode = buffer[position]
            if opcode == _TEXT:
                start = position + 2
                stop = start + buffer[position + 1]
                if stop > limit:
                    break
                push(text := buffer[start:stop].decode())
                position = stop
                # A text is memoised as a rule: looking ahead saves a fifth of a vocabulary's time.
                if stop < end and buffer[stop] == _MEMOIZE and (index := len(memo)) not in memo:
                    memo[index] = text
                    position += 1
            elif opcode == _INT4:
                push(I4.unpack_from(buffer, position + 1)[0])
                position += 5
            elif opcode == _INT2:
                push(U2.unpack_from(buffer, position + 1)[0])
                position += 3
            elif opcode == _INT1:
                push(buffer[position + 1])
                position += 2
            elif opcode == _FLOAT and (found := _FLOATS.match(buffer, position, end + 8)):
                stack += chain.from_iterable(_one_float.iter_unpack(found[0]))
                position = found.end()
            elif opcode in _CONSTANTS:
                push(_CONSTANTS[opcode])
                position += 1
            elif opcode == _LONG_TEXT:
                start = position + 5
                length = U4.unpack_from(buffer, position + 1)[0]
                if length > limits.SMALL_BYTES or start + length > limit:
                    break
                push(buffer[start : start + length].decode())
                position = start + length
            elif opcode == _MEMOIZE:
                if not stack or (index := len(memo)) in memo:
                    break
                memo[index] = stack[-1]
                position += 1
            elif opcode == _PUT:
                index = U4.unpack_from(buffer, position + 1)[0]
                if not stack or index in memo or index > reader.base + position:
                    break
                memo[index] = stack[-1]
                m.binary = True
                position += 5
            else:
                break
    except UnicodeDecodeError:
        return  # the handler says what is wrong with the text, if anything is
    finally:
        reader.position = position
