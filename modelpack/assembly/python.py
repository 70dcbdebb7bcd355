"""The base image's interpreter, and reproducible byte code."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import sys
import warnings
from types import CodeType
from typing import Any, Iterator, Sequence

from .files import walk


def library() -> str:
    """Return the folder of the standard library."""
    return os.environ.get("MODELPACK_LIBRARY") or os.path.dirname(os.__file__)


def interpreter() -> str:
    return os.environ.get("MODELPACK_INTERPRETER") or os.path.realpath(sys.executable)


def raising() -> list[str]:
    """Return the files with setuid bits or capabilities, if the base was unpacked without them."""
    with open(os.environ.get("MODELPACK_RAISING") or os.devnull, encoding="utf-8") as file:
        return file.read().splitlines()


# CPython marks in it what something else refers to as well (`w_ref` in its Python/marshal.c), and
# names are shared with all that the process knows: so which are marked differs from one run to the
# next. Here all are referred to once more, and marked. Source: PEP 552, for hash-based files that
# are never checked.
_HEAD = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")  # 1: hash-based and not checked
_PARTS = ("co_names", "co_varnames", "co_freevars", "co_cellvars", "co_consts", "co_filename",
          "co_name", "co_qualname")  # fmt: skip


def compile_below(
    folder: str, final: str, into: str | None = None, leave: Sequence[str] = ("tests",)
) -> None:
    """Compile the modules in `folder`, with byte code next to them or at the same path in `into`.

    `final` is the path of `folder` in the image, for tracebacks. `leave` are names of folders that
    are not compiled, such as tests. A module for another version of Python is left as it is.

    Raises:
        RuntimeError: strings have other hashes in each process, and sets therefore other orders;
            or a process failed.
    """
    if sys.flags.hash_randomization:
        raise RuntimeError("PYTHONHASHSEED=0 must be set")
    names = [path[len(folder) :] for path in walk(folder) if path.endswith(".py")]
    names = [name for name in names if not set(name.split("/")) & set(leave)]
    processes = os.cpu_count() or 1
    started = [_start(names[n::processes], folder, final, into or folder) for n in range(processes)]
    if any([os.waitpid(process, 0)[1] for process in started]):  # noqa: C419 - waits for all
        raise RuntimeError("a process that compiles has failed")


def _start(names: Sequence[str], folder: str, final: str, into: str) -> int:
    """Start a process, and return its id."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        warnings.simplefilter("ignore")
        for name in names:
            _compile(folder + name, final + name, importlib.util.cache_from_source(into + name))
        status = 0
    finally:
        os._exit(status)


def _compile(path: str, final: str, target: str) -> None:
    with open(path, "rb") as file:
        source = file.read()
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        code = compile(source, final, "exec", dont_inherit=True)
        shared = [*_strings(code)]
        data = _HEAD + importlib.util.source_hash(source) + marshal.dumps(code)
        del shared
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, frozenset)):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, CodeType):
        for part in _PARTS:
            yield from _strings(getattr(value, part, ""))
