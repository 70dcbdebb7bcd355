"""Runs services in the environment that trained their models, without a lock and without a build.

Inspection, the author's code, the rows and the bundle are those of `modelpack package`, in this
process. The environment is not resolved and the smoke test is left out. The libraries are imported
once for all models of a set. So a model takes a second, and its answers cannot depend on other
versions of the libraries.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from modelpack.bundle import render as bundles
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import BaseImage, Environment


class UntestedError(Exception):
    """The rows of the model are unknown or do not suit it: `modelpack package` needs others."""


SERVE = Path(__file__).parent / "inside" / "serve.py"
READY_SECONDS = 60
VARIABLES = {"WEB_CONCURRENCY": "1", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}
VARIABLES |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
# The kernel of the BLAS that trained the models, if this machine selects one.
KERNEL = "OPENBLAS_CORETYPE"
VARIABLES |= {KERNEL: os.environ[KERNEL]} if KERNEL in os.environ else {}


@contextmanager
def quickly(paths: list[str], options: Options, interpreter: Path) -> Iterator[str]:
    """Serve the model in `paths` while the block runs, and yield the URL.

    Args:
        paths: The model's files.
        options: Those of `modelpack package`; `output` is the folder of the bundle.
        interpreter: Of the environment that trained the model, with what the service needs.

    Raises:
        ModelpackError: The model is refused before the build.
        UntestedError: Nothing describes a row, or the model fails on the example.
        RuntimeError: The service does not start.
    """
    run = Pipeline(options)
    model, code = run.inspect(paths)
    model, rows = run.reference(model, paths)
    if not rows.rows:
        raise UntestedError("its rows are unknown")
    locked = Environment("3.11", "linux/amd64", {}, {}, "")
    base = BaseImage("python:3.11-slim", "3.11", "registry")
    folder = str(bundles.render(model, locked, base, options.output, code).path)
    server = _Server.for_interpreter(str(interpreter))
    log = f"{folder}.log"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = server.request({"bundle": folder, "port": port, "log": log})
    try:
        _await_ready(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.request({"stop": process})


class _Server:
    """inside/serve.py, run by an interpreter until this process ends."""

    def __init__(self, interpreter: str) -> None:
        self._process = subprocess.Popen(
            [interpreter, "-W", "ignore", str(SERVE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, **VARIABLES},
        )
        atexit.register(self._process.communicate)

    @staticmethod
    @cache
    def for_interpreter(interpreter: str) -> _Server:
        return _Server(interpreter)

    def request(self, document: dict[str, object]) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _await_ready(url: str, process: int, log: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            raise UntestedError(f"not ready: {_failure(log)}") from error
        except OSError as error:
            if time.monotonic() > deadline or _has_ended(process):
                raise RuntimeError(f"not started: {_failure(log)}") from error
            time.sleep(0.02)


def _has_ended(process: int) -> bool:
    """Return whether a child of the server has ended, which it may not have noticed yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _failure(log: str) -> str:
    """Return the last error of a log."""
    lines = Path(log).read_text(errors="replace").splitlines() if Path(log).exists() else []
    errors = [line for line in lines if '"level":"info"' not in line]
    return (errors or lines or [""])[-1][-700:]
