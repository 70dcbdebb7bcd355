"""The child process: request in, `ModelSpec` out."""

from __future__ import annotations

import fcntl
import gc
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
    """Write the answer to `request` to standard output, both of them JSON.

    The request contains `paths` and `options`, the keyword arguments of `inspect`. The answer holds
    one of `spec`; `error`, the name, message and hint of a `ModelpackError`; and `limit`, the name
    of the limit that was met. A bug ends as in any program, by a traceback.
    """
    asked = json.loads(request)
    _end_with_parent()
    confine()
    gc.disable()  # it finds no garbage in a tree that grows, and takes a tenth of the time
    try:
        answer = _answer(asked["paths"], asked["options"])
    except MemoryError:
        answer = OUT_OF_MEMORY
    sys.stdout.write(answer)
    sys.stdout.flush()
    os._exit(0)  # an interpreter that frees all it holds first takes a tenth longer


def _answer(paths: list[str], options: dict[str, Any]) -> str:
    try:
        answer = json.dumps({"spec": to_json(inspect(*paths, **options))})
    except ModelpackError as error:
        answer = json.dumps({"error": [type(error).__name__, error.message, error.hint]})
    return answer if len(answer) <= limits.ANSWER_BYTES else OUT_OF_MEMORY


def _end_with_parent() -> None:
    """Have the kernel end this process as soon as the pipe that is its standard input is closed.

    The parent never writes to it, so that SIGIO, which ends a process, means that it is gone.
    """
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)


def confine() -> None:
    """Limit CPU time and memory of this process, and let it only read. A crash leaves no core."""
    limits.OWN.begin()
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, limits.DESCRIPTORS),
    ):
        _, hard = resource.getrlimit(limit)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (allowed, allowed))
