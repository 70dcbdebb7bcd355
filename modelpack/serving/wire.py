"""From a request to JSON: media type, size, syntax, depth."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Iterable

import orjson
from flask import Request

from .problems import Problem


def read_json_body(request: Request, limit: int) -> bytes:
    """The body of a request that says it is JSON, and not a byte beyond `limit` of it.

    Raises:
        Problem: 415 another media type or an encoding, 413 too large, 400 broken off.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "Send the body as it is, without a Content-Encoding.")
    if request.mimetype not in ("", "application/json") and not request.mimetype.endswith("+json"):
        raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
    return _read(request, limit)


def _read(request: Request, limit: int) -> bytes:
    size = request.content_length
    if size is None:  # the size of chunks is known by reading them; without either, no body
        size = limit + 1 if request.environ.get("wsgi.input_terminated") else 0
    elif size > limit:
        raise Problem(413, f"The body is larger than {limit} bytes.")
    body = _take(request.environ["wsgi.input"], size)
    if len(body) > limit:
        raise Problem(413, f"The body is larger than {limit} bytes.")
    return body


def _take(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:  # each server has its own for what a client may break here
        raise Problem(400, "The body broke off, or its chunks are malformed.") from error


def parse(body: bytes) -> Any:
    """The JSON document in `body`, fast. Numbers beyond 64 bits come as floats.

    Raises:
        ValueError: it is not JSON, or a number in it is too large or none.
    """
    return orjson.loads(body)


def parse_exactly(body: bytes, depth: int) -> Any:
    """The JSON document in `body`, slowly: with every integer as it was written, and with NaN,
    Infinity and 1e400 as floats, so that their place can be told.

    Raises:
        Problem: 400 if it is not JSON in UTF-8, or nested deeper than `depth`.
    """
    try:
        document = json.loads(body.decode("utf-8"), parse_int=_integer)
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # half a surrogate pair fails
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {_reason(error)}.") from error
    if _deeper(document, depth):
        raise Problem(400, f"The JSON is nested deeper than {depth} levels.")
    return document


def _integer(digits: str) -> float:
    # int() of a million digits takes minutes; so many are refused as out of range anyway.
    return int(digits) if len(digits) <= 20 else float(digits)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "not UTF-8 text"


def _deeper(document: Any, depth: int) -> bool:
    level = _nested([document])
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in _nested(parent.values() if isinstance(parent, dict) else parent)
        ]
    return bool(level)


def _nested(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (list, dict))]
