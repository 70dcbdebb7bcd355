"""Package model files with `modelpack package`, and query their containers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 900
READY_SECONDS = 60


@dataclass(frozen=True)
class Packaged:
    """`document` of --json: None if `modelpack package` failed with `code`."""

    code: int
    document: dict[str, Any] | None
    stderr: str


def package(files: Sequence[Path], *options: str) -> Packaged:
    """Run `modelpack package`. It tags the image if its smoke test passes."""
    command = [sys.executable, "-m", "modelpack", "package", *map(str, files), *options]
    command += ["--engine", "docker", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/"
    )
    document = json.loads(done.stdout) if done.returncode == 0 else None
    return Packaged(done.returncode, document, done.stderr.strip())


@contextmanager
def container(image: str, *options: str) -> Iterator[str]:
    """Run a container, and yield its URL once it is ready. `options`: of docker run."""
    command = ["docker", "run", "--rm", "--detach", "-p", "127.0.0.1:0:8080", *options, image]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        port = subprocess.run(
            ["docker", "port", name, "8080/tcp"], capture_output=True, text=True, check=True
        ).stdout.strip()
        url = f"http://{port}"
        _await_ready(url)
        yield url
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def predict(url: str, instances: list[Any], *, probabilities: bool) -> tuple[int, Any]:
    """Return the status and the document of a response."""
    query = "?probabilities=true" if probabilities else ""
    request = urllib.request.Request(
        f"{url}/predict{query}",
        data=json.dumps({"instances": instances}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def remove(image: str) -> None:
    subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=False)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
