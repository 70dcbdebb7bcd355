"""Byte code without time stamps, the same wherever and however often it is made.

CPython writes into it which objects something else refers to as well (`w_ref` in its
Python/marshal.c), so it differs with what the same process has compiled before. Hence processes
that compile a fixed share each, and end.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import py_compile
import sys
import warnings
from typing import Callable, Sequence

from .files import walk

_SHARE = 40  # files a process: some 0.3 s of work for 0.01 s of a fork
_MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


def compile_below(
    folder: str, final: str, into: str | None = None, leave: Sequence[str] = ("tests",)
) -> None:
    """Compiles the modules in `folder`, beside themselves or at the same places in the folder
    `into`. What does not compile is for another Python, and left as it is.

    `final`: where `folder` will lie, which byte code tells in tracebacks. `leave`: folders whose
    modules are not compiled: the tests that distributions carry are not run.

    Raises:
        RuntimeError: strings have other hashes in each process, and sets therefore other orders;
            or a process failed.
    """
    if sys.flags.hash_randomization:
        raise RuntimeError("PYTHONHASHSEED=0 must be set")
    names = [path[len(folder) :] for path in walk(folder) if path.endswith(".py")]
    names = [name for name in names if not set(name.split("/")) & set(leave)]
    running = 0
    for start in range(0, len(names), _SHARE):
        if running == (os.cpu_count() or 1):
            _wait()
            running -= 1
        _start(lambda share: _compile(share, folder, final, into or folder), names[start:][:_SHARE])
        running += 1
    for _ in range(running):
        _wait()


def _start(work: Callable[[Sequence[str]], None], share: Sequence[str]) -> None:
    if os.fork():
        return
    status = 1
    try:
        work(share)
        status = 0
    finally:
        os._exit(status)


def _wait() -> None:
    _, status = os.wait()
    if status:
        raise RuntimeError("a process that compiles has failed")


def _compile(names: Sequence[str], folder: str, final: str, into: str) -> None:
    warnings.simplefilter("ignore")
    for name in names:
        cached = importlib.util.cache_from_source(into + name)
        with contextlib.suppress(py_compile.PyCompileError, ValueError, RecursionError):
            py_compile.compile(folder + name, cached, final + name, True, invalidation_mode=_MODE)
