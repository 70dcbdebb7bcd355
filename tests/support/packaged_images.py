"""Packaged sample models, their containers, and an environment without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

SAMPLES = Path(__file__).parents[2] / "sample_models"


SVC = SAMPLES / "kserve-svc"


OWN_CODE = SAMPLES / "own-code"


NO_ENGINE = 8


def package(model: Path, *arguments: str, cwd: Path) -> dict[str, Any]:
    """Run `modelpack package`; skip the test (fail in CI) without a base image."""
    vectorizer = model.parent / "vectorizer.joblib"
    models = [vectorizer, model] if vectorizer.exists() else [model]
    command = [sys.executable, "-m", "modelpack", "package", *map(str, models), "--json"]
    command += arguments
    if model.parent == OWN_CODE:
        command += ["--code", str(OWN_CODE), "--code", str(OWN_CODE / "train.py")]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode == NO_ENGINE and not os.environ.get("CI"):
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextmanager
def container(
    client: docker.DockerClient, image: str, **options: Any
) -> Iterator[tuple[Container, str]]:
    """Run a container as a user would, wait until it is ready, and yield its URL."""
    ports = {"8080/tcp": ("127.0.0.1", None)}
    started = client.containers.run(image, detach=True, ports=ports, **options)
    try:
        started.reload()
        port = started.ports["8080/tcp"][0]["HostPort"]
        url = f"http://127.0.0.1:{port}"
        curl("--retry", "60", "--retry-all-errors", "--retry-delay", "1", f"{url}/readyz")
        yield started, url
    finally:
        started.remove(force=True, v=True)


def curl(*arguments: str) -> str:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout


def environ_without_engine(folder: Path) -> dict[str, str]:
    """Return variables with which neither Docker nor Podman is found."""
    return {
        **os.environ,
        "DOCKER_HOST": f"unix://{folder}/no-engine.sock",
        "CONTAINERS_CONF_OVERRIDE": f"{folder}/no-containers.conf",
    }
