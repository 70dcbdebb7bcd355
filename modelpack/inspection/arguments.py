"""The arguments of opcodes, read as Python's scalars.

Formats: CPython's Lib/pickletools.py. Struct and index errors mean that the stream has ended.
"""

from __future__ import annotations

import codecs
import re
import struct
import warnings
from typing import Any

from . import limits
from .machine import malformed
from .nodes import Blob, Malformed
from .reader import Reader

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
    """The most frequent value of all: `string` for less than 256 bytes, without its calls."""
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
    """Python 2 wrote bytes and text alike; both are kept as the text of their bytes."""
    data = reader.value(length)
    return data.decode("latin-1") if isinstance(data, bytes) else data


def python2_line(reader: Reader) -> str:
    line = reader.line()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b"'", b'"'}:
        raise malformed("a string has no quotes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an escape that Python does not know is kept as it is
        return str(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))
