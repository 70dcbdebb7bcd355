"""The inspector in a process of its own: whatever a file does to it, it costs one error message."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelpack import errors
from modelpack.types import Finding, ModelFile, ModelSpec, Safety, Signature, from_json

from . import limits
from .pickle.ndarrays import clean

# -I and -S: no variable, no folder but Python's own, no start-up file of site-packages. Ours come
# last, so that nothing in them stands before the standard library.
_START = (
    "import sys; sys.path += sys.argv[2:]; "
    "from modelpack.inspection.worker import main; main(sys.argv[1])"
)
_NEEDED = ("packaging", "lz4")
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")
_ERRORS = {kind.__name__: kind for kind in errors.ModelpackError.__subclasses__()}


class InspectorError(Exception):
    """A bug of the inspector; its cause has the traceback."""


class _Traceback(Exception):  # noqa: N818 - the text of one, of the other process
    pass


def inspect(
    path: str | Path, *more: str | Path, trust: Collection[str] = (), select: Sequence[str] = ()
) -> ModelSpec:
    """What `inspector.inspect` gives, which is read by a process of its own.

    A file that is beyond its limits or ends it gives a spec too, whose `safety` says so.

    Raises:
        UsageError: as `inspector.inspect`.
        InspectorError: a bug.
    """
    paths = [str(p) for p in (path, *more)]
    return _inspect(paths, trust=sorted(trust), select=list(select))


def _inspect(paths: list[str], **options: Any) -> ModelSpec:
    with _child(json.dumps({"paths": paths, "options": options})) as child:
        try:
            out, err = child.communicate(timeout=limits.SECONDS)
        except subprocess.TimeoutExpired:
            return _refused(paths, f"reading it takes more than {limits.SECONDS:g} seconds")
    if child.returncode > 0:
        raise _bug(err)
    return _spec(out, child.returncode, paths)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):  # the child says what is wrong with the path
        return 0


@contextmanager
def _child(request: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which has ended afterwards. It ends by itself if this one is killed: see
    `child._end_with_parent`.
    """
    lifeline, held = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, request, *_folders()],
            stdin=lifeline,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            start_new_session=True,  # Ctrl-C at the terminal is ours to deal with
        )
        with child:
            try:
                yield child
            finally:
                child.kill()
    finally:
        os.close(lifeline)
        os.close(held)


def _folders() -> list[str]:
    """Where modelpack and the few distributions lie that the inspector needs."""
    specs = filter(None, map(find_spec, _NEEDED))
    packages = [folder for spec in specs for folder in spec.submodule_search_locations or ()]
    own = str(Path(__file__).parents[1])
    return list(dict.fromkeys(str(Path(folder).parent) for folder in (own, *packages)))


def _spec(out: bytes, status: int, paths: list[str]) -> ModelSpec:
    answer = _parsed(out) if status == 0 else {}
    if "spec" in answer:
        return from_json(ModelSpec, answer["spec"])
    if "error" in answer:
        kind, message, hint = answer["error"]
        raise _ERRORS[kind](message, hint=hint)
    if "limit" in answer:
        return _refused(paths, f"reading it takes {_more_than('memory')}")
    if status == -signal.SIGXCPU:
        return _refused(paths, f"reading it takes {_more_than('CPU time')}")
    name = signal.Signals(-status).name if status else "no answer"
    return _refused(paths, f"reading it ended the inspector ({name})")


def _parsed(out: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(out)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _bug(err: bytes) -> InspectorError:
    text = re.sub(r"[^\n -~]", "?", err.decode("utf-8", "replace")).strip()
    bug = InspectorError(text.rpartition("\n")[2])
    bug.__cause__ = _Traceback(text)
    return bug


def _more_than(what: str) -> str:
    """Return words for the limit of CPU time or memory, which depends on the size of the file."""
    if what == "CPU time":
        least, each, most = limits.CPU_SECONDS
        told = f"{least} seconds and {each * limits.MIB:g} for each MiB"
    else:
        least, each, most = limits.MEMORY_BYTES
        told = f"{least // limits.MIB:,} MiB and {each} for each MiB"
        most //= limits.MIB
    return f"more {what} than its size allows ({told} without compression, at most {most:,})"


def _refused(paths: list[str], reason: str) -> ModelSpec:
    """The spec of files that could not be read to their end within the limits."""
    first, *others = map(_file, paths)
    return ModelSpec(
        file=first,
        format="unknown",
        framework=None,
        framework_version=None,
        python=None,
        task="unknown",
        estimator=None,
        steps=(),
        method="predict",
        requirements={},
        versions={},
        local_modules=(),
        signature=Signature((), ()),
        safety=Safety("refuse", (Finding("inspector-limit", reason),)),
        more_files=tuple(others),
    )


def _file(path: str) -> ModelFile:
    return ModelFile(clean(path), "", _size(path), "raw", None, "unknown")
