"""From a path to a `ModelSpec`."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from modelpack.errors import UsageError
from modelpack.spec import Finding, ModelFile, ModelSpec, Safety

from . import facts, formats, invariants, limits, parameters, policy, skops, source
from .composition import Composition, compose
from .interpreter import run
from .machine import Trace, merged
from .nodes import Malformed, Node
from .parts import as_node
from .reader import Reader
from .signature import NO_SIGNATURE, no_prediction, signature
from .words import what

_HEAD = 64 * limits.KIB


@dataclass
class _Reading:
    """What one pass over a file has found so far."""

    path: Path
    container: str = "raw"
    sha256: str = ""
    size: int = 0
    trace: Trace = field(default_factory=Trace)
    root: Node = None
    complete: bool = False
    findings: list[Finding] = field(default_factory=list)
    other: formats.Format | None = None
    inflated: int = 0  # bytes without compression

    @property
    def is_joblib(self) -> bool:
        return self.trace.payloads > 0 or self.container not in {"raw", "zip"}

    @property
    def format(self) -> str:
        if self.other is not None:
            return self.other.name
        if self.container == "zip":
            return "skops"
        if not self.complete and not self.trace.globals:
            return "unknown"
        return "joblib" if self.is_joblib else "pickle"

    @property
    def file(self) -> ModelFile:
        protocol = self.trace.protocol
        return ModelFile(
            _shown(self.path), self.sha256, self.size, self.container, protocol, self.format
        )


def inspect(
    path: str | Path, *more: str | Path, trust: Collection[str] = (), select: Sequence[str] = ()
) -> ModelSpec:
    """All that can be known of a model without loading it. `more`: further files that it lies in,
    in the order in which its rows pass through them.

    A file that is broken, hostile or no model gives a spec too; its `safety` says so. `trust` names
    globals ("module:name") that the verdict accepts although modelpack does not know them. `select`
    names the keys or positions of the estimators to take from a file that holds several.

    Raises:
        UsageError: there is no such file, or it is no regular file, or it cannot be read; or
            `select` names what is not in it.
    """
    readings = [_judged_reading(Path(p), trust) for p in (path, *more)]
    return _spec(readings, select)


def _judged_reading(path: Path, trust: Collection[str]) -> _Reading:
    reading = _Reading(path)
    try:
        with _open(path) as file:
            before = os.fstat(file.fileno())
            _read_once(file, reading)
            reading.findings += _judged(reading, trust)
            reading.findings += _broken(file, reading)
            reading.findings += _changed(before, os.fstat(file.fileno()))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return reading


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
            hint="Give the path of the file that joblib, pickle or skops wrote: model.joblib.",
        )
    return os.fdopen(descriptor, "rb", buffering=0)


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"The model file {_shown(path)} cannot be read: {reason.lower()}.",
        hint="Check the path, and that you may read the file.",
    )


def _read_once(file: BinaryIO, reading: _Reading) -> None:
    digest = source.Digest(file)
    try:
        _read(file, digest, reading)
    except Malformed as problem:
        reading.findings.append(policy.finding(problem))
    reading.sha256 = _finish(digest, reading)
    reading.size = digest.size if reading.sha256 else os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, digest: source.Digest, reading: _Reading) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > limits.FILE_BYTES:
        raise Malformed("too-large", "the file is larger than 16 GiB")
    reading.trace.most_opcodes = limits.opcodes(size)
    head = digest.read(source.CHUNK)
    if not head:
        raise Malformed("empty-file", "the file is empty: it has 0 bytes", offset=0)
    reading.other = formats.recognise(head[:_HEAD], _tail(file))
    if reading.other is formats.SKOPS:
        reading.other, reading.container = None, "zip"
        reader = Reader(source.chunks("raw", head, digest))
        size = os.fstat(file.fileno()).st_size
        reading.root, reading.inflated = skops.read(reader, size, reading.trace)
        reading.complete = True
        return
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
    reading.inflated = reader.offset


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
            "pickle, joblib or skops"
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
        return invariants.check(reading.trace, file, reading.container, reading.inflated)
    except Malformed as problem:
        return [policy.finding(problem)]


def _changed(before: os.stat_result, after: os.stat_result) -> list[Finding]:
    """Arrays are read a second time, and what is hashed has to be what is judged."""
    stamps = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in (before, after)]
    message = "the file was changed while it was read"
    return [] if stamps[0] == stamps[1] else [Finding("changed", message)]


def _spec(readings: list[_Reading], select: Sequence[str]) -> ModelSpec:
    first, *others = readings
    complete = all(reading.complete for reading in readings)
    roots = [reading.root for reading in readings]
    made = compose(roots, [r.path.stem for r in readings], select) if complete else Composition()
    root, trace = made.root, merged([reading.trace for reading in readings])
    found = signature(root) if root else NO_SIGNATURE
    parts = parameters.estimators(trace)
    versions = facts.recorded_versions(root, trace, parts)
    framework = facts.framework(root)
    readers = {
        "joblib": any(reading.is_joblib for reading in readings),
        "lz4": any(reading.container == "lz4" for reading in readings),
        "skops": any(reading.container == "zip" for reading in readings),
        "pandas": found.layout == "frame",
    }
    needed = {name for name in readers if readers[name]} | facts.containers(parts)
    required = facts.requirements(trace, versions, needed)
    findings = [finding for reading in readings for finding in _located(reading, len(readings))]
    if policy.verdict(findings) != "refuse":  # else what it holds is beside the point
        findings += _notes(made, readings)
    return ModelSpec(
        file=first.file,
        format=first.format,
        framework=framework,
        framework_version=facts.framework_version(framework, versions),
        python=facts.python_specifier(trace.protocol),
        task=root.task if root else "unknown",
        estimator=root.cls.dotted if root else None,
        steps=as_node(root).steps if root else (),
        method="transform" if root and root.only_transforms else "predict",
        requirements=required,
        versions=versions,
        local_modules=facts.local_modules(trace),
        signature=found,
        safety=Safety(policy.verdict(findings), tuple(findings)),
        globals=tuple(sorted(trace.globals)),
        members=made.members,
        more_files=tuple(reading.file for reading in others),
        choices=made.choices,
        reasons=facts.reasons(required, trace, versions, parts),
        n_jobs=parameters.n_jobs(parts),
        callables=parameters.callables(parts),
    )


def _located(reading: _Reading, files: int) -> list[Finding]:
    """The findings of a file, with its name where there are several."""
    if files == 1:
        return reading.findings
    name = ascii(reading.path.name)[1:-1]
    return [replace(found, message=f"{name}: {found.message}") for found in reading.findings]


def _notes(made: Composition, readings: list[_Reading]) -> list[Finding]:
    """What keeps well-formed files from being served."""
    if not all(reading.complete for reading in readings):
        return []
    if made.problem is not None:
        return [made.problem]
    if made.root is None:
        held = "; ".join(what(reading.root) for reading in readings)
        return [Finding("not-a-model", f"the file holds {held}, and no estimator")]
    if not made.root.is_fitted:
        name = made.root.last.cls.dotted
        return [Finding("not-fitted", f"{name} was saved before it was fitted")]
    if reason := no_prediction(made.root):
        return [Finding("no-prediction", reason)]
    return []
