"""Scalar opcodes: arguments, and a fast loop over long runs of them.

With one handler per opcode, as in `interpreter`, a vocabulary takes 2.2 times as long, and a list
of floats 3.8 times.
"""

from __future__ import annotations

import codecs
import pickle
import re
import struct
import warnings
from itertools import chain
from typing import Any

from .. import limits
from ..nodes import Blob, Malformed
from ..stream import MAX_FIXED_SIZE, Reader
from .machine import Machine, malformed

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
    """Run the opcodes up to the first one that is not in OPCODES, and return their number.

    Unusual opcodes are left to the handlers (a value that continues in the next chunk, a string
    with lone surrogates, a used memo index), and so are the last bytes of the buffer.
    """
    reader, before = m.reader, len(m.stack) + len(m.memo)
    limit = len(reader.buffer)
    if reader.frame_end is not None:  # the handlers report a value that crosses the end of a frame
        limit = min(limit, reader.frame_end - reader.base)
    _run(m, min(reader.check, limit - MAX_FIXED_SIZE), limit)
    return len(m.stack) + len(m.memo) - before


def _run(m: Machine, end: int, limit: int) -> None:  # noqa: PLR0912, PLR0915 - calls are slow
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
                # Most strings are memoised: looking ahead saves a fifth of the time.
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
            elif opcode == _FLOAT and (match := _FLOATS.match(buffer, position, end + 8)):
                stack += chain.from_iterable(_one_float.iter_unpack(match[0]))
                position = match.end()
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
        return  # the handler reports the error
    finally:
        reader.position = position


# Formats: CPython's Lib/pickletools.py. Struct and index errors mean that the stream has ended.
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
I4, U2, U4, U8, F8 = (struct.Struct(f) for f in ("<i", "<H", "<I", "<Q", ">d"))


def byte(reader: Reader) -> int:
    value = reader.buffer[reader.position]
    reader.position += 1
    return value


def fixed(reader: Reader, kind: struct.Struct) -> Any:
    value = kind.unpack_from(reader.buffer, reader.position)[0]
    reader.position += kind.size
    return value


def text_line(reader: Reader) -> str:
    return reader.line().decode("ascii")


def int_line(reader: Reader) -> int | bool:
    line = text_line(reader)
    return line == "01" if line in {"00", "01"} else decimal(line)


def long_line(reader: Reader) -> int:
    return decimal(text_line(reader).removesuffix("L"))


def decimal(text: str) -> int:
    # Unpicklers read more, and not alike: octal, hexadecimal, underscores, spaces.
    if len(text) > limits.INTEGER_BYTES:
        raise Malformed("limit", "an integer has more than a thousand digits")
    if not _DECIMAL.fullmatch(text):
        raise malformed("an integer is not written as picklers write it")
    return int(text)


def long(reader: Reader, length: int) -> int:
    if not 0 <= length <= limits.INTEGER_BYTES:
        raise Malformed("limit", "an integer is longer than 1 KiB")
    return int.from_bytes(reader.take(length), "little", signed=True)


def string(reader: Reader, length: int) -> str | Blob:
    data = reader.value(length)
    if isinstance(data, bytes):
        return data.decode("utf-8", "surrogatepass")
    data.codec = "utf-8"
    return data


def short_string(reader: Reader) -> str | Blob:
    """Read a string of less than 256 bytes: `string` without its calls, for the most frequent."""
    start = reader.position + 1
    end = start + reader.buffer[reader.position]
    if end > len(reader.buffer):
        reader.position = start
        return string(reader, end - start)
    reader.position = end
    return reader.buffer[start:end].decode("utf-8", "surrogatepass")


def unicode_line(reader: Reader) -> str | Blob:
    offset = reader.offset
    line = reader.line(limits.ARRAY_LINE_BYTES)
    text = line.decode("raw-unicode-escape")
    if len(line) <= limits.KEPT_BYTES:
        return text
    head = text[: limits.HEAD_BYTES].encode("latin-1", "replace")
    return Blob(offset, len(line), head, "raw-unicode-escape")


def python2(reader: Reader, length: int) -> str | Blob:
    """Read a string of Python 2, which may be bytes or text, as text in Latin-1."""
    data = reader.value(length)
    return data.decode("latin-1") if isinstance(data, bytes) else data


def python2_line(reader: Reader) -> str:
    line = reader.line(limits.ARRAY_LINE_BYTES)
    if len(line) > limits.SMALL_BYTES:  # bytes of an array, or of a model
        reader.keep(len(line))
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b"'", b'"'}:
        raise malformed("a string has no quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes are kept
        return str(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))
