"""Files of skops: a zip archive of arrays, and a JSON schema of the objects that contain them.

Source: skops/io of skops 0.16, protocols 0 to 2. The schema is read without skops into the same
nodes as a pickle of the model.
"""

from __future__ import annotations

from typing import Any

from ..nodes import Node
from ..pickle.machine import Trace, malformed
from ..stream import Reader
from . import arrays, objects
from .archive import Budget
from .arrays import SCHEMA, contents, leaves, value
from .schema import StateReader, parse_schema, schema_protocol, skops_requirement, too_deep

__all__ = ["contents", "read"]

_KINDS = {**objects.CONTAINER_READERS, **objects.OBJECT_READERS, **arrays.ARRAY_STATE_READERS}


def read(reader: Reader, size: int, trace: Trace) -> tuple[Node, int]:
    """Read a skops file. Return its root, and the number of bytes of all members.

    `trace` gets the names and objects, also those before an error.

    Raises:
        Malformed: skops does not write this, or a limit is exceeded.
    """
    budget = Budget(size)
    files: dict[str, Any] = {}
    schema, offset = None, 0
    for path, member, body in leaves(reader, budget):
        if path == (SCHEMA,):
            offset, schema = body.offset, parse_schema(body, member.size)
        elif len(path) == 1:
            files[path[0]] = value(path, member, body)
        else:
            name = path[1].removesuffix(".npy")
            files.setdefault(path[0], {})[name] = value(path, member, body)
    if schema is None:
        raise malformed("the archive has no schema.json")
    trace.protocol = schema_protocol(schema)
    trace.versions |= skops_requirement(schema.get("_skops_version"))
    states = StateReader(_KINDS, trace, files, trace.protocol, offset)
    return _root(states, schema), budget.inflated


def _root(states: StateReader, schema: dict[str, Any]) -> Node:
    try:
        return states.read(schema)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise malformed("a value in the schema cannot be read") from error
