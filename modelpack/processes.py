"""Child processes and cleanup: guards, temporary directories, deferred interrupts.

An exception, Ctrl-C and SIGTERM unwind the stack, and whoever made a thing removes it. SIGKILL
unwinds nothing, so a small shell waits beside it: it runs the command once the pipe it reads is
closed without a word, which the kernel does however modelpack ends.
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
    """A folder in `parent`, or where temporary files are, that is gone afterwards."""
    with TemporaryDirectory(prefix=prefix, dir=parent) as path, run_on_exit("rm", "-rf", path):
        yield Path(path)


@contextmanager
def run_on_exit(*command: str, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run `command` if this process is gone before the body has ended.

    The body's own end, by return or by exception, calls the command off.

    Args:
        command: A program and its arguments.
        environ: The environment variables of the command. By default those of this process.
    """
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
    """What would interrupt the block does so once it has ended. Python interrupts its main thread
    only, so that in another there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = [(number, signal.getsignal(number)) for number in _NUMBERS]
    try:
        for number in _NUMBERS:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers:
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def run(command: Sequence[str], stdin: str) -> str:
    """Gives `stdin` to a command and returns what it wrote to its standard error.

    An interrupt is passed on as SIGTERM, to its children too, and the command is given the time it
    needs to end; `subprocess.run` would kill it.

    Raises:
        FileNotFoundError: there is no such command.
        subprocess.CalledProcessError: it failed; `stderr` has its output.
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
