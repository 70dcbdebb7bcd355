"""Asks the model itself where it can do no harm: one question, or all the rows of a file."""

from __future__ import annotations

import ctypes
import os
import re
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

from modelpack.engines.protocol import AnswerFuture
from modelpack.errors import SmokeFailedError

REFERENCE_COMMAND = ("-m", "modelpack.serving.reference")
PREDICT_COMMAND = ("-m", "modelpack.serving", "predict", "--progress=json")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: not between fork and exec

# By the kernel, as an engine tells it and as a process does.
_KILLED = (128 + signal.SIGKILL, -signal.SIGKILL)
_REFUSED_CALL = (128 + signal.SIGSYS, -signal.SIGSYS)
# Where memory is a limit of the process, it hears of it.
_NO_MEMORY = re.compile("MemoryError|bad_alloc|[Cc]annot allocate memory")

OnLine = Callable[[str], None]
SECONDS = 120.0
MOST_BYTES = 2**26
_GIB = 2**30

# As section 5 of the CIS Docker Benchmark 1.6 has it, and no network: a model needs none.
# Not --rm: the engine would remove it at the same time as whoever made it, who then fails.
_CONTAINER = (
    "--interactive",
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=64m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=65532:65532",
    "--ipc=none",
    "--pids-limit=128",
    "--ulimit=nofile=256",
    "--ulimit=core=0",
    "--log-driver=none",
    "--no-healthcheck",
    "--stop-timeout=5",
    "--env=JOBLIB_MULTIPROCESSING=0",  # it would tell that there is no shared memory
    "--entrypoint=python",
)
PROXIES = tuple(
    name
    for word in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
    for name in (word, word.upper())
)
# Nothing of the user's settings: a variable without a value is removed. Docker comes with an init;
# Podman's is a package of its own, and nothing that it would look after can be started.
_OWN = {
    "docker": ("--init", *(f"--env={name}" for name in PROXIES)),
    "podman": ("--http-proxy=false",),
}


def container(command: str, memory: int) -> list[str]:
    """The options of `docker create` and `podman create`. `memory`: in bytes, swap included."""
    sizes = [f"--memory={memory}", f"--memory-swap={memory}"]
    if command == "docker" or os.geteuid() == 0:  # others are seldom given that controller
        sizes.append(f"--cpus={min(2, os.cpu_count() or 1)}")
    return [*_CONTAINER, *_OWN[command], *sizes]


def memory_for(model_bytes: int) -> int:
    """Bytes for a process that loads a model file of this size: the libraries take some hundred
    MB, and what is compressed in the file takes more in memory.
    """
    return max(2 * _GIB, _GIB + 4 * model_bytes)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """In a new process, before it becomes a program: it gets this signal when modelpack ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


# Ctrl-C is for modelpack to handle; and nothing may wait for a reader once that has been killed.
_ITS_END: dict[str, Any] = {"start_new_session": True, "preexec_fn": die_with_parent}


@dataclass(frozen=True)
class Sandbox:
    """A command that reads what is asked and writes answers. `options`: of `subprocess.Popen`.
    `memory`: bytes that it may take.
    """

    command: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    memory: int = 2 * _GIB

    @contextmanager
    def asked(self, document: bytes) -> Iterator[AnswerFuture]:
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
                    yield partial(_answer, process, said, self.memory, time.monotonic() + SECONDS)
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


def _answer(
    process: subprocess.Popen[bytes], said: IO[bytes], memory: int, deadline: float
) -> bytes:
    """`deadline`: by `time.monotonic()`."""
    answer = _output(process, deadline)
    if len(answer) > MOST_BYTES:
        raise SmokeFailedError(f"it said more than {MOST_BYTES} bytes")
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SmokeFailedError(f"it was ended: {SECONDS:.0f} seconds were not enough") from None
    if code:
        said.seek(0)
        raise SmokeFailedError(_why(code, said.read(MOST_BYTES), memory))
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


def _why(code: int, said: bytes, memory: int) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "nothing was said"
    if code in _KILLED or _NO_MEMORY.search(last):
        return f"it was ended: more than {memory / 1e9:.1f} GB of memory were not enough"
    if code in _REFUSED_CALL:
        return "it was ended: it made a system call that no model needs"
    return f"exit code {code}: {last}"
