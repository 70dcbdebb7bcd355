"""Files that skops wrote: a zip archive of arrays, and a JSON schema of what is made of them.

Format: skops/io of skops 0.16, protocols 0 to 2. Nothing is loaded, and skops is not needed: the
schema becomes the nodes that a pickle of the same model gives, for facts and policy to read.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from packaging.version import InvalidVersion, Version

from .. import limits
from ..machine import Trace, malformed
from ..nodes import Malformed, Node
from ..reader import Reader
from ..source import CHUNK
from . import containers, npy, numerical, objects
from .archive import Budget, members
from .headers import Member, broken
from .states import States

HIGHEST_PROTOCOL = 2

_SCHEMA = "schema.json"
_KINDS = {**containers.KINDS, **objects.KINDS, **numerical.KINDS}
_LENGTH_OF_TYPE = 4  # loader, module, class, id
_LONGEST_VERSION = 40


def read(reader: Reader, size: int, trace: Trace) -> Node:
    """The root of the skops file of `size` bytes that the reader is at the beginning of.

    Raises:
        Malformed: skops does not write this, or it is beyond the limits; `trace` has what was met.
    """
    budget = Budget(size)
    files: dict[str, Node] = {}
    schema, offset = None, 0
    for member, body in members(reader, budget):
        if member.name == _SCHEMA:
            schema, offset = _parsed(body, member.size), body.offset - member.size
        else:
            files[member.name] = _file(member, body, budget)
    if schema is None:
        raise malformed("the archive has no schema.json")
    trace.protocol = _protocol(schema)
    trace.versions |= _version(schema.get("_skops_version"))
    try:
        return States(_KINDS, trace, files, trace.protocol, offset).read(schema)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise malformed("a value in the schema cannot be read") from error


def _file(member: Member, body: Reader, budget: Budget) -> Node:
    """What is in a member: an array, the arrays of a matrix by their names, or bytes."""
    suffix = member.name.rpartition(".")[2]
    if suffix == "npy":
        return npy.read(body, member.size)
    if suffix == "npz":
        return dict(_arrays(body, budget))
    if suffix == "bin":
        return body.value(member.size)
    raise broken(f"skops writes no member named {member.name}")


def _arrays(body: Reader, budget: Budget) -> Iterator[tuple[str, Node]]:
    for member, array in members(body, budget):
        name, _, suffix = member.name.rpartition(".")
        if suffix != "npy":
            raise broken(f"scipy writes no member named {member.name}")
        yield name, npy.read(array, member.size)


def _parsed(body: Reader, size: int) -> dict[str, Any]:
    if size > limits.SCHEMA_BYTES:
        raise Malformed("limit", f"the schema is longer than {limits.SCHEMA_BYTES:,} bytes")
    try:
        schema = json.loads(_text(body, size), object_pairs_hook=_Objects().make)
    except RecursionError as error:
        raise _too_deep() from error
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


def _too_deep() -> Malformed:
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
            return self.types.setdefault(tuple(found.values()), found)
        return found


def _protocol(schema: dict[str, Any]) -> int:
    protocol = schema.get("protocol")
    if type(protocol) is not int or not 0 <= protocol <= HIGHEST_PROTOCOL:
        raise Malformed("unknown-protocol", "the protocol of the file is none of skops 0.1 to 0.16")
    return protocol


def _version(value: Any) -> dict[str, str]:
    """The specifier of skops: newer releases read what older ones wrote, and are safer."""
    try:
        version = (
            Version(value) if isinstance(value, str) and len(value) <= _LONGEST_VERSION else None
        )
    except InvalidVersion:
        version = None
    return {"skops": f">={version.base_version}"} if version else {}
