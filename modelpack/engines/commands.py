"""Runs commands that have something of their own to clean up."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence


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
