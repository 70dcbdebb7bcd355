"""Packages model files with `modelpack package`, as a user would, and asks their containers."""

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
    """`made` is the document of --json, None where `modelpack package` failed with `code`; `told`:
    what it said on standard error.
    """

    code: int
    made: dict[str, Any] | None
    told: str


def package(files: Sequence[Path], *options: str) -> Packaged:
    """The image gets a name only if it passes its smoke test."""
    command = [sys.executable, "-m", "modelpack", "package", *map(str, files), *options]
    command += ["--engine", "docker", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/"
    )
    made = json.loads(done.stdout) if done.returncode == 0 else None
    return Packaged(done.returncode, made, done.stderr.strip())


@contextmanager
def container(image: str, *options: str) -> Iterator[str]:
    """The URL of a container that is ready; it is removed afterwards. `options`: of docker run."""
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
    """The status and the document of an answer."""
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
