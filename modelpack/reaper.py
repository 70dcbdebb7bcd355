"""Removes what modelpack would leave when it is killed: a scratch folder, a container.

An exception, Ctrl-C and SIGTERM unwind the stack, and whoever made a thing removes it. SIGKILL
unwinds nothing, so a small shell waits beside it: it runs the command once the pipe it reads is
closed without a word, which the kernel does however modelpack ends.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_WAIT_THEN_RUN = 'read -r word; [ "$word" = done ] || exec "$@"'


@contextmanager
def scratch_folder(prefix: str = "modelpack-", parent: Path | None = None) -> Iterator[Path]:
    """A folder in `parent`, or where temporary files are, that is gone afterwards."""
    with TemporaryDirectory(prefix=prefix, dir=parent) as path, guard("rm", "-rf", path):
        yield Path(path)


@contextmanager
def guard(*command: str, environ: Mapping[str, str] | None = None) -> Iterator[None]:
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
