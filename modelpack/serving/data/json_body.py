"""Request bodies: size, syntax, depth."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import orjson
from flask import Request

from ..problems import Problem
from ..settings import Limits

MAX_DIGITS = 100  # of an integer that is not read as a float
WRAPPERS = 6  # around the rows in {"dataframe_split": {"columns", "index", "data"}, "params": {}}
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
WINDOWS = {
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}
"""Window sizes of zlib for encodings of RFC 9110. Some clients send deflate without its frame."""
QUOTE = ord('"')
MARKS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as int8: one level down, one up
OTHERS = bytes(set(range(256)) - set(b'[{]}"'))


def check_json(request: Request) -> None:
    """Raise a Problem 415 unless the media type of a request is JSON or missing."""
    if request.mimetype not in ("", "application/json") and not request.mimetype.endswith("+json"):
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")


def read_body(request: Request, limit: int) -> bytes:
    """Read and decompress the body of a request.

    Raises:
        Problem: 415, the encoding is unknown. 413, the body has more than `limit` bytes, compressed
            or decompressed. 400, the body is incomplete or does not have its encoding.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return _read(request, limit)
    if encoding not in WINDOWS:
        detail = "The Content-Encoding must be gzip or deflate."
        raise Problem(415, detail, headers={"Accept-Encoding": "gzip, deflate"})
    body = _read(request, limit)
    for window in WINDOWS[encoding]:
        with suppress(zlib.error):
            return _decompress(zlib.decompressobj(window), body, limit)
    raise Problem(400, f"The body is not compressed as {encoding}.")


def _decompress(codec: Any, body: bytes, limit: int) -> bytes:
    """Decompress a body of at most `limit` bytes."""
    content: bytes = codec.decompress(body, limit + 1)
    if len(content) > limit:
        raise Problem(413, f"The body is larger than {limit} bytes when decompressed.")
    if not codec.eof or codec.unused_data:
        raise Problem(400, "The compressed body is incomplete, or other bytes follow it.")
    return content


def _read(request: Request, limit: int) -> bytes:
    size = request.content_length
    if size is None:  # chunks, or no body
        size = limit + 1 if request.environ.get("wsgi.input_terminated") else 0
    elif size > limit:
        raise Problem(413, f"The body is larger than {limit} bytes.")
    body = _read_stream(request.environ["wsgi.input"], size)
    if len(body) > limit:
        raise Problem(413, f"The body is larger than {limit} bytes.")
    return body


def _read_stream(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:  # each server has its own exceptions for broken bodies
        raise Problem(400, "The body broke off, or its chunks are malformed.") from error


def parse(body: bytes, limits: Limits) -> Any:
    """Parse JSON fast. Numbers beyond 64 bits are floats.

    Raises:
        ValueError: The body is not JSON, or a number is too large, NaN or infinite.
        Problem: See `check_nesting`.
    """
    most = limits.rows + WRAPPERS
    if len(body) > most and _brackets(body) > most:
        check_nesting(body, limits)
    return orjson.loads(body)


def _brackets(body: bytes) -> int:
    """Count the opening brackets. numpy takes a tenth of the time of `bytes.count`."""
    values = np.frombuffer(body, np.uint8)
    return int(np.count_nonzero(values == ord("[")) + np.count_nonzero(values == ord("{")))


def parse_strict(body: bytes, limits: Limits) -> Any:
    """Parse JSON slowly, with exact integers, and with NaN, Infinity and 1e400 as floats.

    Validation then reports the row and the column of such numbers.

    Raises:
        Problem: 400, the body is not JSON in UTF-8. See also `check_nesting`.
    """
    check_nesting(body, limits)
    try:
        document = json.loads(body.decode("utf-8"), parse_int=_integer)
        if SURROGATE.search(body):  # encoding half of a pair fails
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {_reason(error)}.") from error
    return document


def check_nesting(body: bytes, limits: Limits) -> None:
    """Check the brackets of a body, before millions of lists are created from them.

    Raises:
        Problem: 400, the JSON is nested too deeply. 413, it has more lists and objects than the
            largest request.
    """
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = np.frombuffer(unescaped.translate(MARKS, OTHERS), np.int8)
    quotes = marks == QUOTE
    outside = np.cumsum(quotes, dtype=np.uint8) % 2 == 0
    steps = marks[outside & ~quotes]
    depths = np.cumsum(steps, dtype=np.int32)
    if depths.size and np.max(depths) > limits.json_depth:
        raise Problem(400, f"The JSON is nested deeper than {limits.json_depth} levels.")
    if np.count_nonzero(steps > 0) > limits.rows + WRAPPERS:
        detail = f"The body has more lists and objects than a request of {limits.rows} rows."
        raise Problem(413, detail)


def _integer(digits: str) -> float:
    # int() takes minutes for a million digits, and an integer of 100 digits is beyond 64 bits.
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is not text in UTF-8"
