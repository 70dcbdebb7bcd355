"""One pass over one file: container, format, contents, findings."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from modelpack.errors import UsageError
from modelpack.types import Finding, ModelFile

from . import (
    detect,
    embedded,
    formats,
    invariants,
    known_formats,
    limits,
    policy,
    polyglots,
    skops,
    stream,
    verdicts,
)
from .allowlist import standing
from .formats.model import NativeModel
from .nodes import Malformed, Node, require
from .pickle.interpreter import run
from .pickle.machine import Trace
from .pickle.ndarrays import EXTERNAL
from .stream import Reader
from .text import clean

_HEAD = 64 * limits.KIB
_MAX_PICKLES = 1_000
_MIN_OPCODES = 8
"""A file with fewer valid opcodes is hardly a damaged pickle."""

SCRIPT_NAME = "mlflow.models:set_model"
"""The name that trust in a script of MLflow is given by: each such script calls it."""

_PICKLE = re.compile(rb"\x80([\0-\x0f]|\Z)")
_TEXT_CODES = {"malformed", "bad-name", "truncated"}


@dataclass
class ParsedFile:
    """A file as far as it was read.

    Attributes:
        root: The value of the pickle, if `complete`.
        other: The format, if the file is not a pickle.
        native: The model in a file of `other`, if `complete`.
        size: Bytes of the file.
        inflated: Bytes without compression.
    """

    path: Path
    container: str = "raw"
    sha256: str = ""
    size: int = 0
    trace: Trace = field(default_factory=Trace)
    root: Node = None
    complete: bool = False
    findings: list[Finding] = field(default_factory=list)
    other: known_formats.Format | None = None
    native: NativeModel | None = None
    inflated: int = 0

    @property
    def is_joblib(self) -> bool:
        """True if arrays are between the opcodes. A compressed pickle is still a pickle."""
        return self.trace.payloads > 0 and self.container != "zip"

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
        protocol = self.native.protocol if self.native else self.trace.protocol
        return ModelFile(
            clean(str(self.path)), self.sha256, self.size, self.container, protocol, self.format
        )


def parse_file(path: Path, trust: Collection[str]) -> ParsedFile:
    """Read a file to its end. `trust`: unknown globals that are accepted.

    Raises:
        UsageError: The file does not exist, is not a regular file, or cannot be read.
    """
    parsed = ParsedFile(path)
    try:
        with _open(path) as file:
            before = os.fstat(file.fileno())
            _read_once(file, parsed)
            parsed.findings += _findings(parsed, trust)
            parsed.findings += _broken(file, parsed)
            parsed.findings += _changed(before, os.fstat(file.fileno()))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return parsed


def native_content(parsed: ParsedFile) -> bytes:
    """Return the bytes of the native model in a file that was read, without compression.

    Raises:
        Malformed: The file was changed.
    """
    with _open(parsed.path) as file:
        digest = stream.HashingFile(file)
        content = b"".join(stream.chunks(parsed.container, digest.read(stream.CHUNK), digest))
        require(digest.finish() == parsed.sha256, "the file was changed while it was read")
        return content


def parse_description(path: Path, problem: Malformed) -> ParsedFile:
    """Return the file that describes a model in a folder, and why the model cannot be read."""
    parsed = ParsedFile(path, findings=[policy.finding(problem)], other=known_formats.MLFLOW)
    with suppress(OSError, UsageError), _open(path) as file:
        data = file.read(limits.MIB)
        parsed.size = os.fstat(file.fileno()).st_size
        parsed.sha256 = hashlib.sha256(data).hexdigest() if len(data) == parsed.size else ""
    return parsed


def parse_script(path: Path, trust: Collection[str]) -> ParsedFile:
    """Return the script at `path` that MLflow runs to load a model. It is not parsed here.

    `trust` is as for `parse_file`.

    Raises:
        UsageError: As `parse_file`.
    """
    parsed = ParsedFile(path, other=known_formats.MLFLOW_SCRIPT)
    try:
        with _open(path) as file:
            digest = stream.HashingFile(file)
            parsed.sha256, parsed.size = digest.finish(), digest.size
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if SCRIPT_NAME not in trust:
        message = f"loading the model would run the script {repr(path.name)[1:-1]}"
        parsed.findings.append(Finding(verdicts.UNKNOWN, message, global_=SCRIPT_NAME))
    return parsed


def _open(path: Path) -> BinaryIO:
    if "\0" in str(path):
        raise _unreadable(path, "its name contains a zero byte")
    # Without O_NONBLOCK, opening a FIFO waits for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(
            f"{clean(str(path))} is not a regular file, but a model is a single file.",
            hint="Give the path of the saved file, such as model.joblib or model.txt, or a folder "
            "of MLflow with its MLmodel.",
        )
    return os.fdopen(descriptor, "rb", buffering=0)


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"The model file {clean(str(path))} cannot be read: {reason.lower()}.",
        hint="Check the path and the permissions of the file.",
    )


def _read_once(file: BinaryIO, parsed: ParsedFile) -> None:
    digest = stream.HashingFile(file)
    try:
        _read(file, digest, parsed)
    except Malformed as problem:
        parsed.findings.append(policy.finding(problem))
    parsed.sha256 = _finish(digest, parsed)
    parsed.size = digest.size if parsed.sha256 else os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, digest: stream.HashingFile, parsed: ParsedFile) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > limits.FILE_BYTES:
        raise Malformed("too-large", "the file is larger than 16 GiB")
    parsed.trace.max_opcodes = limits.opcodes(size)
    head = digest.read(stream.CHUNK)
    if not head:
        raise Malformed("empty-file", "the file is empty: it has 0 bytes", offset=0)
    tail = os.pread(file.fileno(), _HEAD, max(size - _HEAD, 0))
    parsed.other = _unless_code(file, parsed, detect.recognise(head[:_HEAD], tail))
    if parsed.other is known_formats.SKOPS:
        parsed.other, parsed.container = None, "zip"
        archive = Reader(stream.chunks("raw", head, digest))
        parsed.root, parsed.inflated = skops.read(archive, size, parsed.trace)
        parsed.complete = True
    elif parsed.other in known_formats.PLAIN_ZIPS and known_formats.END_OF_ZIP not in tail:
        parsed.other = None
        message = "the file is a truncated zip archive, perhaps of skops or numpy: it has no end"
        raise Malformed("truncated", message, offset=size)
    elif parsed.other is not None:
        _read_native(stream.chunks("raw", head, digest), parsed)
    else:
        parsed.container = stream.container(head)
        reader = Reader(stream.chunks(parsed.container, head, digest))
        _read_pickle(file, reader, parsed)


def _unless_code(
    file: BinaryIO, parsed: ParsedFile, other: known_formats.Format | None
) -> known_formats.Format | None:
    """Return the format `other`, or None and a finding if an unpickler would run code anyway."""
    if other is None or not _runs_code(file, parsed):
        return other
    message = "an unpickler would run code of the file, which begins as no pickle of a model does"
    parsed.findings.append(Finding("hidden-code", message))
    return None


def _runs_code(file: BinaryIO, parsed: ParsedFile) -> bool:
    """Return whether an unpickler would run code of the file, which is read from its start."""
    position = file.tell()
    try:
        file.seek(0)
        again = stream.HashingFile(file)
        chunks = stream.chunks(parsed.container, again.read(stream.CHUNK), again)
        return polyglots.runs_code(Reader(chunks), parsed.trace.max_opcodes)
    finally:
        file.seek(position)


def _read_pickle(file: BinaryIO, reader: Reader, parsed: ParsedFile) -> None:
    reader.refill()
    head = reader.buffer[:_HEAD]
    if parsed.container != "raw":
        parsed.other = _unless_code(file, parsed, detect.recognise(head))
    if parsed.other is not None:
        _read_native(reader.rest(), parsed)
        return
    try:
        parsed.root = run(reader, parsed.trace)
    except Malformed as problem:
        if problem.code == "external-file":
            parsed.other = known_formats.EXTERNAL if _is_harmless(parsed.trace) else None
        else:
            found = _format_of_no_pickle(head, parsed.trace, problem)
            parsed.other = _unless_code(file, parsed, found)
        raise
    if not reader.at_end():
        offset = reader.offset
        _read_more_pickles(reader, parsed)
        message = "bytes that loading would not read follow the end of the pickle"
        raise Malformed("trailing-data", message, offset=offset)
    parsed.complete = True
    parsed.inflated = reader.offset


def _format_of_no_pickle(
    head: bytes, trace: Trace, problem: Malformed
) -> known_formats.Format | None:
    """Return the format of a file that could not be read as a pickle. None: a damaged pickle."""
    is_text = problem.code in _TEXT_CODES or trace.opcodes == 1 or not trace.globals
    is_start = trace.opcodes < _MIN_OPCODES and not trace.objects
    is_text = is_text and not verdicts.is_harmful(problem.code)
    if problem.code == "truncated" and any(standing(key) == "known" for key in trace.globals):
        return None
    if is_start and is_text and all(standing(key) != "banned" for key in trace.globals):
        is_pickle = _PICKLE.match(head) is not None
        return None if is_pickle else _format_of_bytes(head)
    is_text = not trace.globals and problem.code in _TEXT_CODES
    return detect.as_text(head) if is_text else None


def _format_of_bytes(head: bytes) -> known_formats.Format:
    if stream.container(head) != "raw":
        return known_formats.COMPRESSED
    return detect.as_text(head) or known_formats.UNKNOWN


def _is_harmless(trace: Trace) -> bool:
    findings = policy.judge(trace, None, ())
    return verdicts.verdict(f for f in findings if f.global_ not in EXTERNAL) != "refuse"


def _read_more_pickles(reader: Reader, parsed: ParsedFile) -> None:
    """Set the format of a file that consists of several harmless pickles, or add their findings.

    The hint for this format loads all of them, so names that have to be trusted are findings, too.
    """
    traces, roots = [parsed.trace], [parsed.root]
    left = parsed.trace.max_opcodes - parsed.trace.opcodes
    try:
        while not reader.at_end() and len(roots) < _MAX_PICKLES:
            traces.append(Trace(max_opcodes=left))
            roots.append(run(reader, traces[-1]))
            left -= traces[-1].opcodes
        findings = [policy.judge(t, r, ()) for t, r in zip(traces, roots, strict=True)]
    except Malformed:
        return
    named = [finding for each in findings for finding in each]
    if named or not reader.at_end():
        parsed.findings += [f for each in findings[1:] for f in each]  # the first is judged again
        return
    is_joblib = any(trace.payloads for trace in traces)
    form = known_formats.SEVERAL_JOBLIB if is_joblib else known_formats.SEVERAL
    parsed.other = replace(form, description=form.description.format(len(roots)))


def _read_native(chunks: Iterator[bytes], parsed: ParsedFile) -> None:
    if parsed.other is not None and parsed.other.reader is not None:
        parsed.native = formats.read(parsed.other.reader, chunks)
        parsed.complete = True


def _finish(digest: stream.HashingFile, parsed: ParsedFile) -> str:
    """Return the digest of the file; "" if it is too large to read."""
    if any(finding.code == "too-large" for finding in parsed.findings):
        return ""
    try:
        return digest.finish()
    except Malformed as problem:
        parsed.findings.append(policy.finding(problem))
        return ""


def _findings(parsed: ParsedFile, trust: Collection[str]) -> list[Finding]:
    if parsed.other is not None and parsed.other.reader is not None:
        return []  # it names no code, and its reader has checked it
    if parsed.other is not None:
        parsed.findings.clear()
        message = f"the file is {parsed.other.description}; modelpack reads {known_formats.READ}"
        return [Finding("unsupported-format", message)]
    try:
        return policy.judge(parsed.trace, parsed.root if parsed.complete else None, trust)
    except Malformed as problem:
        parsed.complete = False
        parsed.trace.objects.clear()  # facts would visit a shared value once per object
        return [*policy.names(parsed.trace, trust), policy.finding(problem)]


def _broken(file: BinaryIO, parsed: ParsedFile) -> list[Finding]:
    """Check the arrays that compiled code would use, if the file may be loaded."""
    if not parsed.complete or parsed.native or verdicts.verdict(parsed.findings) == "refuse":
        return []
    try:
        return invariants.check(
            parsed.trace, file, parsed.container, parsed.inflated, embedded.CHECKS
        )
    except Malformed as problem:
        return [policy.finding(problem)]


def _changed(before: os.stat_result, after: os.stat_result) -> list[Finding]:
    """Report a file that was changed: arrays are read twice, and must fit the digest."""
    stamps = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in (before, after)]
    message = "the file was changed while it was read"
    return [] if stamps[0] == stamps[1] else [Finding("changed", message)]
