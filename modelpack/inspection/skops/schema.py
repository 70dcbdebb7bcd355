"""The schema of a skops file: the text of JSON that tells what is made of the other members."""

from __future__ import annotations

import codecs
import json
from typing import Any

from packaging.version import InvalidVersion, Version

from .. import limits
from ..machine import malformed
from ..nodes import Malformed
from ..reader import Reader
from ..source import CHUNK

HIGHEST_PROTOCOL = 2

_LENGTH_OF_TYPE = 4  # loader, module, class, id
_LONGEST_VERSION = 40
_LEAST_NO_ADDRESS = 2**61 - 1  # integers below it have hash values of their own


def parsed(body: Reader, size: int) -> dict[str, Any]:
    """The object of JSON in the next `size` bytes.

    Raises:
        Malformed: it is none, or readers of JSON would differ over what it is.
    """
    if size > limits.SCHEMA_BYTES:
        raise Malformed("limit", f"the schema is longer than {limits.SCHEMA_BYTES:,} bytes")
    try:
        schema = json.loads(_text(body, size), object_pairs_hook=_Objects().make)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise malformed("schema.json is no JSON as skops writes it") from error
    if not isinstance(schema, dict):
        raise malformed("the schema is no object of JSON")
    return schema


def _text(body: Reader, size: int) -> str:
    """All of a long text, which is not held twice."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    parts = []
    while size:
        parts.append(decoder.decode(body.take(min(size, CHUNK)), final=size <= CHUNK))
        size -= min(size, CHUNK)
    return "".join(parts)


def too_deep() -> Malformed:
    return Malformed("limit", "the schema is nested too deeply")


class _Objects:
    """The objects of a JSON text. There is a type for each key of a dict, nearly always the same:
    equal ones are held once.
    """

    def __init__(self) -> None:
        self.types: dict[tuple[Any, ...], dict[str, Any]] = {}

    def make(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):  # readers differ over which of two values counts
            raise malformed("an object of the schema has a key twice")
        if len(found) == _LENGTH_OF_TYPE and found.get("__loader__") == "TypeNode":
            # Only of texts and addresses few share a hash value.
            names = [found.get(key) for key in ("__class__", "__module__")]
            if not all(isinstance(name, str) for name in names) or not is_id(found.get("__id__")):
                raise malformed("a state of a type has no names or no address")
            return self.types.setdefault(tuple(found.values()), found)
        return found


def is_id(value: Any) -> bool:
    """Return whether a value can be the id of a state, which is an address in memory."""
    return type(value) is int and 0 < value < _LEAST_NO_ADDRESS


def protocol_of(schema: dict[str, Any]) -> int:
    """The number that tells by which of skops' classes states are read."""
    protocol = schema.get("protocol")
    if type(protocol) is not int or not 0 <= protocol <= HIGHEST_PROTOCOL:
        raise Malformed("unknown-protocol", "the protocol of the file is none of skops 0.1 to 0.16")
    return protocol


def version_of(value: Any) -> dict[str, str]:
    """The specifier of skops: newer releases read what older ones wrote, and are safer."""
    try:
        version = (
            Version(value) if isinstance(value, str) and len(value) <= _LONGEST_VERSION else None
        )
    except InvalidVersion:
        version = None
    return {"skops": f">={version.base_version}"} if version else {}
