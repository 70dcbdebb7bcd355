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
"""As zlib is told of the encodings of RFC 9110. Some clients send deflate without its frame."""
QUOTE = ord('"')
MARKS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as int8: one level down, one up
OTHERS = bytes(set(range(256)) - set(b'[{]}"'))


def check_json(request: Request) -> None:
    """Let a request pass that says its body is JSON, or says nothing.

    Raises:
        Problem: 415 it says that it is something else.
    """
    if request.mimetype not in ("", "application/json") and not request.mimetype.endswith("+json"):
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")


def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, decompressed, and not a byte beyond `limit` of it.

    Raises:
        Problem: 415 it has an unknown encoding, 413 it is too large, compressed or decompressed,
            400 it broke off or is not of its encoding.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return _read(request, limit)
    if encoding not in WINDOWS:
        detail = "The Content-Encoding of a body is gzip or deflate."
        raise Problem(415, detail, headers={"Accept-Encoding": "gzip, deflate"})
    body = _read(request, limit)
    for window in WINDOWS[encoding]:
        with suppress(zlib.error):
            return _decompress(zlib.decompressobj(window), body, limit)
    raise Problem(400, f"The body is not compressed as {encoding}.")


def _decompress(codec: Any, body: bytes, limit: int) -> bytes:
    """What a compressed body holds; of more than `limit` bytes none are kept."""
    content: bytes = codec.decompress(body, limit + 1)
    if len(content) > limit:
        raise Problem(413, f"The body is larger than {limit} bytes once it is decompressed.")
    if not codec.eof or codec.unused_data:
        raise Problem(400, "The compressed body ends too early, or more follows it.")
    return content


def _read(request: Request, limit: int) -> bytes:
    size = request.content_length
    if size is None:  # the size of chunks is known by reading them; without either, no body
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
    except Exception as error:  # each server has its own for what a client may break here
        raise Problem(400, "The body broke off, or its chunks are malformed.") from error


def parse(body: bytes, limits: Limits) -> Any:
    """The JSON document in `body`, fast. Numbers beyond 64 bits come as floats.

    Raises:
        ValueError: it is not JSON, or a number in it is too large or none.
        Problem: as `check_nesting`.
    """
    if body.count(b"[") + body.count(b"{") > limits.rows + WRAPPERS:
        check_nesting(body, limits)
    return orjson.loads(body)


def parse_strict(body: bytes, limits: Limits) -> Any:
    """The JSON document in `body`, slowly: with every integer as it was written, and with NaN,
    Infinity and 1e400 as floats, so that their place can be told.

    Raises:
        Problem: 400 if it is not JSON in UTF-8; as `check_nesting`.
    """
    check_nesting(body, limits)
    try:
        document = json.loads(body.decode("utf-8"), parse_int=_integer)
        if SURROGATE.search(body):  # half a pair is no text: encoding it fails
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {_reason(error)}.") from error
    return document


def check_nesting(body: bytes, limits: Limits) -> None:
    """Look at the brackets of a body alone, before millions of lists are made of them.

    Raises:
        Problem: 400 it is nested too deeply, 413 it holds more lists and objects than the largest
            request has.
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
        raise Problem(413, f"More lists and objects came than a request of {limits.rows} rows has.")


def _integer(digits: str) -> float:
    # int() of a million digits takes minutes, and no integer of a hundred is of 64 bits.
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is not text in UTF-8"
