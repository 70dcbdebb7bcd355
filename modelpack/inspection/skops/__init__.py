"""Files that skops wrote: a zip archive of arrays, and a JSON schema of what is made of them.

Format: skops/io of skops 0.16, protocols 0 to 2. Nothing is loaded, and skops is not needed: the
schema becomes the nodes that a pickle of the same model gives, for facts and policy to read.
"""

from __future__ import annotations

from typing import Any

from ..nodes import Node
from ..pickle.machine import Trace, malformed
from ..stream import Reader
from . import arrays, objects
from .archive import Budget
from .arrays import SCHEMA, contents, leaves, value
from .schema import States, parsed, protocol_of, too_deep, version_of

__all__ = ["contents", "read"]

_KINDS = {**objects.CONTAINER_READERS, **objects.OBJECT_READERS, **arrays.ARRAY_STATE_READERS}


def read(reader: Reader, size: int, trace: Trace) -> tuple[Node, int]:
    """The root of the skops file of `size` bytes that the reader is at the beginning of, and the
    number of bytes of all its members.

    Raises:
        Malformed: skops does not write this, or it is beyond the limits; `trace` has what was met.
    """
    budget = Budget(size)
    files: dict[str, Any] = {}
    schema, offset = None, 0
    for path, member, body in leaves(reader, budget):
        if path == (SCHEMA,):
            offset, schema = body.offset, parsed(body, member.size)
        elif len(path) == 1:
            files[path[0]] = value(path, member, body)
        else:
            name = path[1].removesuffix(".npy")
            files.setdefault(path[0], {})[name] = value(path, member, body)
    if schema is None:
        raise malformed("the archive has no schema.json")
    trace.protocol = protocol_of(schema)
    trace.versions |= version_of(schema.get("_skops_version"))
    states = States(_KINDS, trace, files, trace.protocol, offset)
    return _root(states, schema), budget.inflated


def _root(states: States, schema: dict[str, Any]) -> Node:
    try:
        return states.read(schema)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise malformed("a value in the schema cannot be read") from error
