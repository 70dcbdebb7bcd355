"""The child process: request in, `ModelSpec` or `Recording` out."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import sys
from typing import Any, NoReturn

from modelpack.errors import ModelpackError
from modelpack.types import Member, from_json, to_json

from . import limits
from .formats.trees import Unrecordable
from .inspector import inspect
from .recording import record_files

OUT_OF_MEMORY = '{"limit": "memory"}'


def main(request: str) -> NoReturn:
    """Write the response to `request` to standard output. Both are JSON.

    The request contains `paths` and either `options`, the keyword arguments of `inspect`, or
    `members`, the objects to record. The response has one member: `spec`; `recording`, a line that
    the bytes of the arrays follow; `unrecordable`, the name of a type; `error`, the class, message
    and hint of a `ModelpackError`; or `limit`, the name of the exceeded limit. A bug ends the
    process with a traceback.
    """
    parsed = json.loads(request)
    _end_with_parent()
    confine()
    contents: list[bytes] = []
    try:
        response = _response(parsed, contents)
    except MemoryError:
        response = OUT_OF_MEMORY
    sys.stdout.buffer.write(response.encode())
    sys.stdout.buffer.writelines(contents)
    sys.stdout.flush()
    os._exit(0)  # a normal exit frees all objects first, which takes a tenth longer


def _response(request: dict[str, Any], contents: list[bytes]) -> str:
    """Return the response. The bytes that follow it are added to `contents`."""
    try:
        if "members" in request:
            response = _recording(request, contents)
        else:
            response = json.dumps(
                {"spec": to_json(inspect(*request["paths"], **request["options"]))}
            )
    except Unrecordable as error:
        response = json.dumps({"unrecordable": str(error)})
    except ModelpackError as error:
        response = json.dumps({"error": [type(error).__name__, error.message, error.hint]})
    return response if len(response) <= limits.RESPONSE_BYTES else OUT_OF_MEMORY


def _recording(request: dict[str, Any], contents: list[bytes]) -> str:
    members = [from_json(Member, member) for member in request["members"]]
    # Arrays and boosters are kept as a whole.
    limits.KEPT_BYTES = limits.KEPT_TOTAL = limits.MODEL_BYTES = limits.STREAM_BYTES
    recording = record_files(request["paths"], members)
    contents += [b"\n", *recording.contents]
    return json.dumps({"recording": [recording.records, recording.members, recording.arrays]})


def _end_with_parent() -> None:
    """Let the kernel end this process when the pipe at its standard input is closed.

    The parent never writes to the pipe, so a SIGIO means that the parent has ended.
    """
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)


def confine() -> None:
    """Limit CPU time and memory of this process, and forbid written files and core dumps."""
    limits.OWN.begin()
    for limit, maximum in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, limits.DESCRIPTORS),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = maximum if hard == resource.RLIM_INFINITY else min(maximum, hard)
        resource.setrlimit(limit, (allowed, allowed))
