"""Asks the model itself where it can do no harm: one question, or all the rows of a file."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from modelpack.engines.protocol import OnAnswer
from modelpack.errors import SmokeFailedError

QUESTION = ("-m", "modelpack.serving.reference")
BATCH = ("-m", "modelpack.serving", "predict", "--progress=json")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: not between fork and exec

OnLine = Callable[[str], None]
SECONDS = 120.0
MOST_BYTES = 2**26

# As section 5 of the CIS Docker Benchmark 1.6 has it, and no network: a model needs none.
# Not --rm: the engine would remove it at the same time as whoever made it, who then fails.
CONTAINER = (
    "--interactive",
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=64m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=65532:65532",
    "--pids-limit=128",
    "--memory=2g",
    "--memory-swap=2g",
    "--ulimit=core=0",
    "--log-driver=none",
    "--no-healthcheck",
    "--entrypoint=python",
)


def end_with_modelpack(number: int = signal.SIGKILL) -> None:
    """In a new process, before it becomes a program: it gets this signal when modelpack ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


# Ctrl-C is for modelpack to handle; and nothing may wait for a reader once that has been killed.
_ITS_END: dict[str, Any] = {"start_new_session": True, "preexec_fn": end_with_modelpack}


@dataclass(frozen=True)
class Sandbox:
    """A command that reads what is asked and writes answers. `options`: of `subprocess.Popen`."""

    command: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def asked(self, document: bytes) -> Iterator[OnAnswer]:
        """The command works on `document` while the block runs, and has ended with it. Yields what
        waits for its answer: of at most 64 MiB, within two minutes of the start. That raises
        SmokeFailedError if there is none, with the last line of what was said instead.
        """
        with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as said:
            question.write(document)
            question.seek(0)
            pipe = subprocess.PIPE
            with subprocess.Popen(
                self.command, stdin=question, stdout=pipe, stderr=said, **self.options
            ) as process:
                try:
                    yield partial(_answer, process, said, time.monotonic() + SECONDS)
                finally:
                    process.kill()  # unless it has ended

    def pass_through(self, rows: IO[bytes], answers: IO[bytes], on_line: OnLine) -> int:
        """Lets the command read `rows` and write `answers`, files of the system, for as long as it
        takes; its exit code. `on_line`: gets each line that it says beside.
        """
        with subprocess.Popen(
            self.command,
            stdin=rows,
            stdout=answers,
            stderr=subprocess.PIPE,
            **{**_ITS_END, **self.options},
        ) as process:
            try:
                assert process.stderr is not None  # noqa: S101 - as it was asked for
                for line in process.stderr:
                    on_line(line.decode(errors="replace").rstrip())
                code = process.wait()
            finally:
                process.kill()  # unless it has ended
        return code if code >= 0 else 128 - code


def _answer(process: subprocess.Popen[bytes], said: IO[bytes], deadline: float) -> bytes:
    """`deadline`: by `time.monotonic()`."""
    answer = _output(process, deadline)
    if len(answer) > MOST_BYTES:
        raise SmokeFailedError(f"it said more than {MOST_BYTES} bytes")
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code:
        said.seek(0)
        raise SmokeFailedError(_why(code, said.read(MOST_BYTES)))
    return answer


def _output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """All of it, or what there is at the deadline, or a little more than what is allowed."""
    assert process.stdout is not None  # noqa: S101 - as it was asked for
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 2**16)
            output += chunk
            if not chunk or len(output) > MOST_BYTES:
                break
    return bytes(output)


def _why(code: int, said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    if code in {137, -9}:
        return f"it was ended: more than 2 GB of memory, or {SECONDS:.0f} seconds, were not enough"
    return f"exit code {code}: {lines[-1] if lines else 'nothing was said'}"
