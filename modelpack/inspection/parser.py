"""One pass over one file: container, format, contents, findings."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from modelpack.errors import UsageError
from modelpack.types import Finding, ModelFile

from . import embedded, formats, invariants, limits, policy, skops, stream
from .formats import detect
from .formats.model import NativeModel
from .nodes import Malformed, Node
from .pickle.interpreter import run
from .pickle.machine import Trace
from .pickle.ndarrays import clean
from .stream import Reader

_HEAD = 64 * limits.KIB


@dataclass
class ParsedFile:
    """What has been found in a file so far. `root`: what its pickle gives, if `complete`; `other`:
    what it is instead, and `told`: what that tells, if `complete`. `size`: of the file; `inflated`:
    without compression, both in bytes.
    """

    path: Path
    container: str = "raw"
    sha256: str = ""
    size: int = 0
    trace: Trace = field(default_factory=Trace)
    root: Node = None
    complete: bool = False
    findings: list[Finding] = field(default_factory=list)
    other: detect.Format | None = None
    told: NativeModel | None = None
    inflated: int = 0

    @property
    def is_joblib(self) -> bool:
        """Whether arrays lie between its opcodes; a pickle that is compressed is still a pickle."""
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
        protocol = self.told.protocol if self.told else self.trace.protocol
        return ModelFile(
            clean(str(self.path)), self.sha256, self.size, self.container, protocol, self.format
        )


def parse_file(path: Path, trust: Collection[str]) -> ParsedFile:
    """What the file holds, read to its end. `trust`: globals that are accepted though unknown.

    Raises:
        UsageError: there is no such file, or it is no regular file, or it cannot be read.
    """
    reading = ParsedFile(path)
    try:
        with _open(path) as file:
            before = os.fstat(file.fileno())
            _read_once(file, reading)
            reading.findings += _findings(reading, trust)
            reading.findings += _broken(file, reading)
            reading.findings += _changed(before, os.fstat(file.fileno()))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    return reading


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
            f"{clean(str(path))} is {what}; a model is one file.",
            hint="Give the path of the file that was saved, such as model.joblib or model.txt.",
        )
    return os.fdopen(descriptor, "rb", buffering=0)


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"The model file {clean(str(path))} cannot be read: {reason.lower()}.",
        hint="Check the path, and that you may read the file.",
    )


def _read_once(file: BinaryIO, reading: ParsedFile) -> None:
    digest = stream.HashingFile(file)
    try:
        _read(file, digest, reading)
    except Malformed as problem:
        reading.findings.append(policy.finding(problem))
    reading.sha256 = _finish(digest, reading)
    reading.size = digest.size if reading.sha256 else os.fstat(file.fileno()).st_size


def _read(file: BinaryIO, digest: stream.HashingFile, reading: ParsedFile) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > limits.FILE_BYTES:
        raise Malformed("too-large", "the file is larger than 16 GiB")
    reading.trace.most_opcodes = limits.opcodes(size)
    head = digest.read(stream.CHUNK)
    if not head:
        raise Malformed("empty-file", "the file is empty: it has 0 bytes", offset=0)
    reading.other = detect.recognise(head[:_HEAD], _tail(file, size))
    if reading.other is detect.SKOPS:
        reading.other, reading.container = None, "zip"
        archive = Reader(stream.chunks("raw", head, digest))
        reading.root, reading.inflated = skops.read(archive, size, reading.trace)
        reading.complete = True
    elif reading.other is not None:
        _read_native(stream.chunks("raw", head, digest), reading)
    else:
        reading.container = stream.container(head)
        _read_pickle(Reader(stream.chunks(reading.container, head, digest)), reading)


def _tail(file: BinaryIO, size: int) -> bytes:
    return os.pread(file.fileno(), _HEAD, max(size - _HEAD, 0))


def _read_pickle(reader: Reader, reading: ParsedFile) -> None:
    reader.refill()
    head = reader.buffer[:_HEAD]
    reading.other = detect.recognise(head)
    if reading.other is not None:
        _read_native(reader.rest(), reading)
        return
    try:
        reading.root = run(reader, reading.trace)
    except Malformed as problem:
        if not reading.trace.globals and problem.code in {"malformed", "bad-name", "truncated"}:
            reading.other = detect.as_text(head)
        raise
    if not reader.at_end():
        message = "bytes follow the end of the pickle, which loading would not read"
        raise Malformed("trailing-data", message, offset=reader.offset)
    reading.complete = True
    reading.inflated = reader.offset


def _read_native(chunks: Iterator[bytes], reading: ParsedFile) -> None:
    if reading.other is not None and reading.other.reader is not None:
        reading.told = formats.read(reading.other.reader, chunks)
        reading.complete = True


def _finish(digest: stream.HashingFile, reading: ParsedFile) -> str:
    """The digest of the file; "" of one that is too large to be read."""
    if any(finding.code == "too-large" for finding in reading.findings):
        return ""
    try:
        return digest.finish()
    except Malformed as problem:
        reading.findings.append(policy.finding(problem))
        return ""


def _findings(reading: ParsedFile, trust: Collection[str]) -> list[Finding]:
    if reading.other is not None and reading.other.reader is not None:
        return []  # it names no code, and what it tells was checked while it was read
    if reading.other is not None:
        reading.findings.clear()
        message = f"the file is {reading.other.description}; modelpack reads {detect.READ}"
        return [Finding("unsupported-format", message)]
    try:
        return policy.judge(reading.trace, reading.root if reading.complete else None, trust)
    except Malformed as problem:
        reading.complete = False
        reading.trace.objects.clear()  # facts would visit what they share once for each of them
        return [*policy.names(reading.trace, trust), policy.finding(problem)]


def _broken(file: BinaryIO, reading: ParsedFile) -> list[Finding]:
    """What the arrays of a file that may be loaded would make compiled code do."""
    if not reading.complete or reading.told or policy.verdict(reading.findings) == "refuse":
        return []
    try:
        return invariants.check(
            reading.trace, file, reading.container, reading.inflated, embedded.CHECKS
        )
    except Malformed as problem:
        return [policy.finding(problem)]


def _changed(before: os.stat_result, after: os.stat_result) -> list[Finding]:
    """Arrays are read a second time, and what is hashed has to be what is judged."""
    stamps = [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for s in (before, after)]
    message = "the file was changed while it was read"
    return [] if stamps[0] == stamps[1] else [Finding("changed", message)]
