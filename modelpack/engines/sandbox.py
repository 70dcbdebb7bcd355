"""Queries a model in a sandbox: one request, or all rows of a file."""

from __future__ import annotations

import ctypes
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from modelpack.engines.protocol import AnswerFuture, BatchStreams
from modelpack.errors import SmokeFailedError

REFERENCE_COMMAND = ("-m", "modelpack.serving.reference")
PREDICT_COMMAND = ("-m", "modelpack.serving", "predict", "--progress=json")
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: not between fork and exec

# Exit codes for signals of the kernel, as engines report them and as processes do.
_KILLED = (128 + signal.SIGKILL, -signal.SIGKILL)
_REFUSED_CALL = (128 + signal.SIGSYS, -signal.SIGSYS)
# The last line of a process with a memory limit of its own.
_NO_MEMORY = re.compile("MemoryError|bad_alloc|[Cc]annot allocate memory")

SECONDS = 120.0
MAX_RESPONSE_BYTES = 2**26
_GIB = 2**30

# As section 5 of the CIS Docker Benchmark 1.6 has it, and no network: a model needs none.
# Not --rm: engine and modelpack would remove the container at the same time, and one would fail.
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
    "--env=JOBLIB_MULTIPROCESSING=0",  # else it warns that shared memory is missing
    "--entrypoint=python",
)
PROXIES = tuple(
    name
    for word in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
    for name in (word, word.upper())
)
# A variable without a value is removed: proxies of the user's settings. Docker includes an init;
# Podman's is another package, and a sandbox does not need it.
_OPTIONS = {
    "docker": ("--init", *(f"--env={name}" for name in PROXIES)),
    "podman": ("--http-proxy=false",),
}


def container(command: str, memory: int) -> list[str]:
    """Return options of `docker create` or `podman create`. The bytes of `memory` include swap."""
    sizes = [f"--memory={memory}", f"--memory-swap={memory}"]
    if command == "docker" or os.geteuid() == 0:  # other users rarely have the CPU controller
        sizes.append(f"--cpus={min(2, os.cpu_count() or 1)}")
    return [*_CONTAINER, *_OPTIONS[command], *sizes]


def memory_for(model_bytes: int) -> int:
    """Return the bytes that a process may use to load a model file of this size.

    Libraries use several hundred MB, and compressed data needs more memory than its file has bytes.
    """
    return max(2 * _GIB, _GIB + 4 * model_bytes)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this signal to the process when modelpack ends. Runs before `exec`."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


# modelpack handles Ctrl-C. The process ends with modelpack even if that is killed.
_LIFETIME: dict[str, Any] = {"start_new_session": True, "preexec_fn": die_with_parent}


@dataclass(frozen=True)
class Sandbox:
    """A command that reads requests and writes responses, with options of `subprocess.Popen`."""

    command: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    memory: int = 2 * _GIB

    @contextmanager
    def query(self, request: bytes, more_seconds: float = 0.0) -> Iterator[AnswerFuture]:
        """Run the command on a request. It ends with the context.

        Yields:
            A function that waits for the response: at most 64 MiB, within two minutes and
            `more_seconds` of the start. It raises SmokeFailedError if no response comes, with the
            last line of stderr.
        """
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(request)
            stdin.seek(0)
            pipe = subprocess.PIPE
            with subprocess.Popen(
                self.command, stdin=stdin, stdout=pipe, stderr=stderr, **self.options
            ) as process:
                try:
                    seconds = SECONDS + more_seconds
                    deadline = time.monotonic() + seconds
                    yield partial(_response, process, stderr, self.memory, deadline, seconds)
                finally:
                    process.kill()  # unless it has ended

    def stream(self, streams: BatchStreams) -> int:
        """Run the command on files without a time limit, and return its exit code."""
        with subprocess.Popen(
            self.command,
            stdin=streams.rows,
            stdout=streams.answers,
            stderr=subprocess.PIPE,
            **{**_LIFETIME, **self.options},
        ) as process:
            try:
                assert process.stderr is not None  # noqa: S101 - a pipe
                for line in process.stderr:
                    streams.on_line(line.decode(errors="replace").rstrip())
                code = process.wait()
            finally:
                process.kill()  # unless it has ended
        return code if code >= 0 else 128 - code


def _response(
    process: subprocess.Popen[bytes],
    stderr: IO[bytes],
    memory: int,
    deadline: float,
    seconds: float,
) -> bytes:
    response = _output(process, deadline)
    if len(response) > MAX_RESPONSE_BYTES:
        raise SmokeFailedError(f"it wrote more than {MAX_RESPONSE_BYTES} bytes")
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SmokeFailedError(f"it was ended: {seconds:.0f} seconds were not enough") from None
    if code:
        stderr.seek(0)
        raise SmokeFailedError(_failure(code, stderr.read(MAX_RESPONSE_BYTES), memory))
    return response


def _output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Read stdout until its end, the deadline, or just above the limit."""
    assert process.stdout is not None  # noqa: S101 - a pipe
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 2**16)
            output += chunk
            if not chunk or len(output) > MAX_RESPONSE_BYTES:
                break
    return bytes(output)


def _failure(code: int, stderr: bytes, memory: int) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "without a message"
    if code in _KILLED or _NO_MEMORY.search(last):
        return f"it was ended: more than {memory / 1e9:.1f} GB of memory were not enough"
    if code in _REFUSED_CALL:
        return "it was ended: it made a system call that no model needs"
    return f"exit code {code}: {last}"
