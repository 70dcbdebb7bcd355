"""From a path to a `ModelSpec`."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from modelpack.errors import UsageError
from modelpack.spec import Finding, ModelFile, ModelSpec, Safety

from . import facts, formats, invariants, limits, policy, source
from .interpreter import run
from .machine import Trace
from .nodes import Malformed, Node
from .parts import Part, as_node, as_part
from .reader import Reader
from .signature import NO_SIGNATURE, no_prediction, signature
from .words import what

_HEAD = 64 * limits.KIB


@dataclass
class _Reading:
    """What one pass over the file has found so far."""

    container: str = "raw"
    trace: Trace = field(default_factory=Trace)
    root: Node = None
    complete: bool = False
    findings: list[Finding] = field(default_factory=list)
    other: formats.Format | None = None
    size: int = 0  # without compression


def inspect(path: str | Path, *, trust: Collection[str] = ()) -> ModelSpec:
    """All that can be known of a model file without loading it.

    A file that is broken, hostile or no model gives a spec too; its `safety` says so. `trust` names
    globals ("module:name") that the verdict accepts although modelpack does not know them.

    Raises:
        UsageError: there is no such file, or it is no regular file, or it cannot be read.
    """
    path = Path(path)
    reading = _Reading()
    try:
        with _open(path) as file:
            sha256, size = _read_once(file, reading)
            reading.findings += _judged(reading, trust)
            reading.findings += _broken(file, reading)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return _spec(_model_file(path, sha256, size, reading), reading)


def _model_file(path: Path, sha256: str, size: int, reading: _Reading) -> ModelFile:
    trace = reading.trace
    return ModelFile(
        _shown(path), sha256, size, reading.container, trace.protocol, _format(reading)
    )


def _shown(path: Path) -> str:
    """The path as text that can be printed: names of files are bytes and need not be UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def _open(path: Path) -> BinaryIO:
    if "\0" in str(path):
        raise _unreadable(path, "its name holds a zero byte")
    # Without O_NONBLOCK, opening a FIFO waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file"
        raise UsageError(
            f"{_shown(path)} is {what}; a model is one file.",
            hint="Give the path of the file that pickle or joblib wrote, such as model.joblib.",
        )
    return os.fdopen(descriptor, "rb", buffering=0)


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"The model file {_shown(path)} cannot be read: {reason.lower()}.",
        hint="Check the path, and that you may read the file.",
    )


def _read_once(file: BinaryIO, reading: _Reading) -> tuple[str, int]:
    """The sha256 and size of the file; what it holds goes to `reading`."""
    digest = source.Digest(file)
    try:
        _read(file, digest, reading)
    except Malformed as problem:
        reading.findings.append(policy.finding(problem))
    sha256 = _finish(digest, reading)
    return sha256, digest.size if sha256 else os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, digest: source.Digest, reading: _Reading) -> None:
    if os.fstat(file.fileno()).st_size > limits.FILE_BYTES:
        raise Malformed("too-large", "the file is larger than 16 GiB")
    head = digest.read(source.CHUNK)
    if not head:
        raise Malformed("empty-file", "the file is empty: it has 0 bytes", offset=0)
    reading.other = formats.recognise(head[:_HEAD], _tail(file))
    if reading.other is not None:
        return
    reading.container = source.container(head)
    reader = Reader(source.chunks(reading.container, head, digest))
    reader.refill()
    inner = reader.buffer[:_HEAD]
    reading.other = formats.recognise(inner)
    if reading.other is None:
        _parse(reader, inner, reading)


def _tail(file: BinaryIO) -> bytes:
    size = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), _HEAD, max(size - _HEAD, 0))


def _parse(reader: Reader, head: bytes, reading: _Reading) -> None:
    try:
        reading.root = run(reader, reading.trace)
    except Malformed as problem:
        if not reading.trace.globals and problem.code in {"malformed", "bad-name", "truncated"}:
            reading.other = formats.as_text(head)
        raise
    if not reader.at_end():
        message = "bytes follow the end of the pickle, which loading would not read"
        raise Malformed("trailing-data", message, offset=reader.offset)
    reading.complete = True
    reading.size = reader.offset


def _finish(digest: source.Digest, reading: _Reading) -> str:
    """The digest of the file; "" of one that is too large to be read."""
    if any(finding.code == "too-large" for finding in reading.findings):
        return ""
    try:
        return digest.finish()
    except Malformed as problem:
        reading.findings.append(policy.finding(problem))
        return ""


def _judged(reading: _Reading, trust: Collection[str]) -> list[Finding]:
    if reading.other is not None:
        reading.findings.clear()
        message = (
            f"the file is {reading.other.words}; modelpack reads scikit-learn models saved by "
            "pickle or joblib"
        )
        return [Finding("unsupported-format", message)]
    try:
        return policy.judge(reading.trace, reading.root if reading.complete else None, trust)
    except Malformed as problem:
        reading.complete = False
        return [policy.finding(problem)]


def _broken(file: BinaryIO, reading: _Reading) -> list[Finding]:
    """What the arrays of a file that may be loaded would make compiled code do."""
    if not reading.complete or policy.verdict(reading.findings) == "refuse":
        return []
    try:
        return invariants.check(reading.trace, file, reading.container, reading.size)
    except Malformed as problem:
        return [policy.finding(problem)]


def _spec(file: ModelFile, reading: _Reading) -> ModelSpec:
    root = as_part(reading.root) if reading.complete else None
    trace = reading.trace
    found = signature(root) if root else NO_SIGNATURE
    versions = facts.recorded_versions(root, trace)
    framework = facts.framework(root)
    readers = {
        "joblib": _is_joblib(reading),
        "lz4": file.container == "lz4",
        "pandas": found.layout == "frame",
    }
    findings = reading.findings
    if policy.verdict(findings) != "refuse":  # else what it holds is beside the point
        findings = [*findings, *_notes(root, reading)]
    return ModelSpec(
        file=file,
        format=file.format,
        framework=framework,
        framework_version=versions.get(framework or ""),
        python=facts.python_specifier(trace.protocol),
        task=root.task if root else "unknown",
        estimator=root.cls.dotted if root else None,
        steps=as_node(root).steps if root else (),
        method="transform" if root and root.only_transforms else "predict",
        requirements=facts.requirements(
            trace, versions, {name for name, needed in readers.items() if needed}
        ),
        versions=versions,
        local_modules=facts.local_modules(trace),
        signature=found,
        safety=Safety(policy.verdict(findings), tuple(findings)),
        globals=tuple(sorted(trace.globals)),
    )


def _is_joblib(reading: _Reading) -> bool:
    return reading.trace.payloads > 0 or reading.container != "raw"


def _format(reading: _Reading) -> str:
    if reading.other is not None:
        return reading.other.name
    if not reading.complete and not reading.trace.globals:
        return "unknown"
    return "joblib" if _is_joblib(reading) else "pickle"


def _notes(root: Part | None, reading: _Reading) -> list[Finding]:
    """What keeps a well-formed file from being served."""
    if not reading.complete:
        return []
    if root is None:
        return [Finding("not-a-model", f"the file holds {what(reading.root)}, and no estimator")]
    if not root.is_fitted:
        return [Finding("not-fitted", f"{root.last.cls.dotted} was saved before it was fitted")]
    if reason := no_prediction(root):
        return [Finding("no-prediction", reason)]
    return []
