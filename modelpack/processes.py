"""Child processes and cleanup: guards, temporary directories, deferred interrupts.

Exceptions, Ctrl-C and SIGTERM unwind the stack, and context managers clean up. SIGKILL does not, so
a shell process waits on a pipe. The kernel closes the pipe when modelpack ends, and the shell then
runs the command for the cleanup unless it was called off.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_WAIT_THEN_RUN = 'read -r word; [ "$word" = done ] || exec "$@"'


@contextmanager
def temporary_directory(prefix: str = "modelpack-", parent: Path | None = None) -> Iterator[Path]:
    """Create a temporary directory, by default where the system has them, and remove it."""
    with TemporaryDirectory(prefix=prefix, dir=parent) as path, run_on_exit("rm", "-rf", path):
        yield Path(path)


@contextmanager
def run_on_exit(*command: str, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run `command` (default: in this environment) if this process ends before the context does."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WAIT_THEN_RUN, "modelpack-reaper", *command],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the terminal must not end it first
    )
    try:
        yield
    finally:
        watcher.communicate(b"done\n")


_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defer signals until the context ends. Only the main thread of Python receives any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = [(number, signal.getsignal(number)) for number in _NUMBERS]
    try:
        for number in _NUMBERS:
            signal.signal(number, lambda number, _: received.append(number))
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        for deferred in received:
            signal.raise_signal(deferred)


def run(command: Sequence[str], stdin: str) -> str:
    """Run a command with `stdin` and return its standard error.

    An interrupt sends SIGTERM to the command and its children and waits until it ends;
    `subprocess.run` would kill it.

    Raises:
        FileNotFoundError: The command does not exist.
        subprocess.CalledProcessError: The command failed; `stderr` has its output.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=subprocess.DEVNULL,
        stderr=pipe,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, stderr = process.communicate(stdin)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=stderr)
    return stderr
