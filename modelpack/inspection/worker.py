"""The child process: request in, `ModelSpec` out."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import sys
from typing import Any, NoReturn

from modelpack.errors import ModelpackError
from modelpack.types import to_json

from . import limits
from .inspector import inspect

OUT_OF_MEMORY = '{"limit": "memory"}'


def main(request: str) -> NoReturn:
    """Write the response to `request` to standard output. Both are JSON.

    The request contains `paths` and `options`, the keyword arguments of `inspect`. The response has
    one member: `spec`; `error`, the class, message and hint of a `ModelpackError`; or `limit`, the
    name of the exceeded limit. A bug ends the process with a traceback.
    """
    parsed = json.loads(request)
    _end_with_parent()
    confine()
    try:
        response = _response(parsed["paths"], parsed["options"])
    except MemoryError:
        response = OUT_OF_MEMORY
    sys.stdout.write(response)
    sys.stdout.flush()
    os._exit(0)  # a normal exit frees all objects first, which takes a tenth longer


def _response(paths: list[str], options: dict[str, Any]) -> str:
    try:
        response = json.dumps({"spec": to_json(inspect(*paths, **options))})
    except ModelpackError as error:
        response = json.dumps({"error": [type(error).__name__, error.message, error.hint]})
    return response if len(response) <= limits.RESPONSE_BYTES else OUT_OF_MEMORY


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
