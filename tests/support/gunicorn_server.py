"""A bundle under gunicorn on a free port, and the memory of its processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import preloaded

READY_SECONDS = 60
LISTENING = r"Listening at: http://(?:127\.0\.0\.1|0\.0\.0\.0|\[::\]):(\d+)"
KERNEL = {name: os.environ[name] for name in ("OPENBLAS_CORETYPE",) if name in os.environ}
"""The kernel of BLAS, if this machine selects one. With another one the last bits differ."""


def python_path() -> str:
    return os.pathsep.join([sysconfig.get_paths()["purelib"], str(Path(__file__).parent)])


class Server:
    """gunicorn in a bundle's folder, on a free port of the loopback interface."""

    def __init__(self, folder: Path, *, preload: bool = False, **environ: str) -> None:
        self.log_path, self.output_path = folder.parent / "log", folder.parent / "output"
        # -S leaves out the editable install, so that the bundle's own modelpack is what runs.
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": python_path(),
            "GUNICORN_CMD_ARGS": "--bind 127.0.0.1:0",
            "WEB_CONCURRENCY": "2",
            **KERNEL,
            **environ,
        }
        run = preloaded.run_module if preload else run_module
        with self.log_path.open("wb") as log, self.output_path.open("wb") as output:
            self.process = run("gunicorn", folder, self.environ, (output, log))

    @property
    def lines(self) -> list[dict]:
        text = self.log_path.read_text()
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(LISTENING, self.log_path.read_text())
            if found:
                self.port = int(found[1])
                return
            time.sleep(0.05)
        raise AssertionError(self.log_path.read_text())

    def workers(self) -> list[int]:
        """Return the process ids of both workers, once there are two."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children")
        deadline = time.monotonic() + READY_SECONDS
        while len(found := children.read_text().split()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(found) == 2
        return list(map(int, found))

    def request(self, method: str, path: str, document=None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = None if document is None else json.dumps(document)
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, json.loads(content)

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            return connection.recv(65536)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def run_module(
    name: str, folder: Path, environ: dict[str, str], files: Sequence[BinaryIO]
) -> subprocess.Popen[bytes]:
    output, log = files
    command = [sys.executable, "-S", "-m", name]
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=log)


@contextmanager
def serve(folder: Path, *, preload: bool = False, **environ: str):
    """Run a service.

    Args:
        folder: The folder of a bundle.
        preload: Whether its process has imported the libraries before; see `preloaded`.
        environ: More environment variables.
    """
    server = Server(folder, preload=preload, **environ)
    try:
        server.wait_until_it_listens()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
        server.process.wait(20)


def startup_error(folder: Path, **environ: str) -> str:
    server = Server(folder, **environ)
    assert server.process.wait(READY_SECONDS) == 1
    lines = server.log_path.read_text().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def worker_pids(server) -> list[int]:
    """Return the process ids of the workers, oldest first."""
    command = ["pgrep", "--parent", str(server.process.pid)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return [int(pid) for pid in done.stdout.split()]


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return status(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return the largest resident memory that a process has had."""
    return status(pid, "VmHWM")


def status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


BODY_BYTES = 1_000_000
