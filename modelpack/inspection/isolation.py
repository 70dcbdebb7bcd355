"""The inspector in a separate process. A file that exceeds a limit or crashes it is an error."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelpack import errors
from modelpack.types import (
    Finding,
    ModelFile,
    ModelSpec,
    Recording,
    Safety,
    Signature,
    from_json,
    prepare_from_json,
    to_json,
)

from . import limits
from .text import clean

# -I and -S: no environment variables, no directories but those of the standard library, no start-up
# files. Our directories come last, so nothing in them hides the standard library.
_START = (
    "import gc, sys; gc.disable(); sys.path += sys.argv[2:]; "
    "from modelpack.inspection.worker import main; main(sys.argv[1])"
)
_REQUIRED = ("packaging", "lz4")
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH")
_ERRORS = {kind.__name__: kind for kind in errors.ModelpackError.__subclasses__()}


class InspectorError(Exception):
    """A bug of the inspector. `__cause__` contains the traceback."""


class _Traceback(Exception):  # noqa: N818 - the text of a traceback of the worker
    pass


def inspect(
    path: str | Path, *more: str | Path, trust: Collection[str] = (), select: Sequence[str] = ()
) -> ModelSpec:
    """Run `inspector.inspect` in a separate process with limits.

    A file that exceeds a limit or crashes the process has a finding in `safety`.

    Raises:
        UsageError: As for `inspector.inspect`.
        ModelNotSupportedError: As for `inspector.inspect`.
        InspectorError: The inspector has a bug.
    """
    paths = [str(p) for p in (path, *more)]
    return _inspect(paths, trust=sorted(trust), select=list(select))


def _inspect(paths: list[str], **options: Any) -> ModelSpec:
    with _child(json.dumps({"paths": paths, "options": options})) as child:
        prepare_from_json(ModelSpec)  # while the child works
        try:
            out, err = child.communicate(timeout=limits.SECONDS)
        except subprocess.TimeoutExpired:
            return _refused(paths, f"reading it takes more than {limits.SECONDS:g} seconds")
    if child.returncode > 0:
        raise _bug(err)
    return _spec(out, child.returncode, paths)


def record(spec: ModelSpec) -> Recording:
    """Run `recording.record_files` in a separate process with limits.

    Raises:
        ModelNotSupportedError: An object of the model is not an estimator of scikit-learn, or
            predictions pass through the inverse of a transformer.
        ModelRefusedError: A file was changed after its inspection, or needs more than the limits.
    """
    if spec.target is not None:
        raise errors.NoCompiledFormError(spec.file.path, spec.not_compilable)
    paths = [file.path for file in spec.files]
    members = [to_json(member) for member in spec.members]
    with _child(json.dumps({"paths": paths, "members": members})) as child:
        try:
            out, err = child.communicate(timeout=limits.SECONDS)
        except subprocess.TimeoutExpired:
            out, err = b"", b""
    if child.returncode > 0:
        raise _bug(err)
    line, _, content = out.partition(b"\n")
    response = _parse(line)
    if "unrecordable" in response:
        reason = f"{response['unrecordable']} has no compiled form"
        raise errors.NoCompiledFormError(spec.file.path, reason)
    if "recording" not in response:
        raise errors.ModelRefusedError(
            f"{spec.file.path} was changed while it was compiled, or takes too much memory or"
            " time.",
            hint="Package it again.",
        )
    records, numbers, arrays = response["recording"]
    return Recording(records, numbers, arrays, list(_pieces(content, arrays)))


def _pieces(content: bytes, arrays: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Split the bytes that follow a response at the ends of the arrays."""
    start = 0
    for array in arrays:
        yield content[start : start + array["size"]]
        start += array["size"]


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):  # the worker reports it
        return 0


@contextmanager
def _child(request: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the worker, and end it on exit. It also ends if this process is killed.

    See `worker._end_with_parent`.
    """
    lifeline, own_end = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _START, request, *_folders()],
            stdin=lifeline,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            start_new_session=True,  # Ctrl-C is handled by this process
        )
        with child:
            try:
                yield child
            finally:
                child.kill()
    finally:
        os.close(lifeline)
        os.close(own_end)


def _folders() -> list[str]:
    """Return the directories of modelpack and of the distributions that the inspector imports."""
    specs = filter(None, map(find_spec, _REQUIRED))
    packages = [folder for spec in specs for folder in spec.submodule_search_locations or ()]
    own = str(Path(__file__).parents[1])
    return list(dict.fromkeys(str(Path(folder).parent) for folder in (own, *packages)))


def _spec(out: bytes, status: int, paths: list[str]) -> ModelSpec:
    response = _parse(out) if status == 0 else {}
    if "spec" in response:
        return from_json(ModelSpec, response["spec"])
    if "error" in response:
        kind, message, hint = response["error"]
        raise _ERRORS[kind](message, hint=hint)
    if "limit" in response:
        return _refused(paths, f"reading it takes {_more_than('memory')}")
    if status == -signal.SIGXCPU:
        return _refused(paths, f"reading it takes {_more_than('CPU time')}")
    name = signal.Signals(-status).name if status else "no response"
    return _refused(paths, f"reading it ended the inspector ({name})")


def _parse(out: bytes) -> dict[str, Any]:
    try:
        response = json.loads(out)
    except ValueError:
        return {}
    return response if isinstance(response, dict) else {}


def _bug(err: bytes) -> InspectorError:
    text = re.sub(r"[^\n -~]", "?", err.decode("utf-8", "replace")).strip()
    bug = InspectorError(text.rpartition("\n")[2])
    bug.__cause__ = _Traceback(text)
    return bug


def _more_than(what: str) -> str:
    """Describe the limit of CPU time or memory, which depends on the size of the file."""
    if what == "CPU time":
        minimum, rate, maximum = limits.CPU_SECONDS
        allowed = f"{minimum} seconds and {rate * limits.MIB:g} for each MiB"
    else:
        minimum, rate, maximum = limits.MEMORY_BYTES
        allowed = f"{minimum // limits.MIB:,} MiB and {rate} for each MiB"
        maximum //= limits.MIB
    return f"more {what} than its size allows ({allowed} without compression, at most {maximum:,})"


def _refused(paths: list[str], reason: str) -> ModelSpec:
    """Return the spec of files that could not be read to their end within the limits."""
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
