"""Start Python processes that have imported the libraries of models, and Flask, already.

Importing scikit-learn and pandas takes 1.2 s of CPU time, most of the start of a service, and a
hundred tests start one. `run_module` forks a process that has imported them, as gunicorn forks its
workers. No module of modelpack is imported there.

Tests of the start, of memory, of threads and of imports start their service afresh.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

LIBRARIES = (
    "numpy",
    "scipy.sparse",
    "pandas",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "lightgbm",
    "flask",
)


class Process:
    """A started process, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, status: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.status = status

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self.status], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select.select([self.status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        if self.returncode is None:
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        self.returncode = int(self.status.recv(100))
        self.status.close()


def run_module(
    name: str,
    folder: Path,
    environ: dict[str, str],
    files: Sequence[BinaryIO],
    arguments: Sequence[str] = (),
) -> Process:
    """Run a module as `python -S -m` does.

    Args:
        name: Name of the module.
        folder: The working directory.
        environ: All environment variables of the process.
        files: The files that become its stdout, stderr and, if there are three, stdin.
        arguments: The arguments of the module.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = json.dumps([[name, *arguments], str(folder), environ]).encode()
    with theirs:
        descriptors = [theirs.fileno(), *(file.fileno() for file in files)]
        socket.send_fds(_forker(environ["PYTHONPATH"]), [request], descriptors)
    return Process(int(ours.recv(100)), ours)


@cache
def _forker(python_path: str) -> socket.socket:
    """Start the process that imports the libraries. It ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-S", __file__, str(theirs.fileno())],
            env={**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def main() -> str:
    """Fork a process for each request. Return, in each of these, the name of its module."""
    del sys.path[0]
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # collections in the processes do not write to pages that they share
    requests = socket.socket(fileno=int(sys.argv[1]))
    running: dict[int, int] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _report_ended(running))
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, 1 << 20, 4)
        if not request:
            sys.exit()
        status, *files = descriptors
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if not pid:
            return _become(*json.loads(request), files)
        os.write(status, str(pid).encode())
        running[pid] = status
        for file in files:
            os.close(file)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _report_ended(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        descriptor = running.pop(pid)
        os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def _become(command: list[str], folder: str, environ: dict[str, str], files: list[int]) -> str:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for file, target in zip(files, (1, 2, 0), strict=False):
        os.dup2(file, target)
    os.closerange(3, 1 << 10)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path.insert(0, folder)
    sys.argv = command
    return command[0]


if __name__ == "__main__":
    runpy.run_module(main(), run_name="__main__", alter_sys=True)
