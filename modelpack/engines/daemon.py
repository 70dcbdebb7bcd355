"""Connects to the Docker engine that the `docker` command of this user would talk to."""

from __future__ import annotations

import os

import docker
from docker.errors import DockerException

from modelpack.errors import NoEngineError


def environ() -> dict[str, str]:
    """The environment for the `docker` command, which then talks to the same engine as the SDK.

    The builder is the engine's own: another one would know nothing of the images here.
    """
    return {**os.environ, "DOCKER_HOST": _host(), "BUILDX_BUILDER": "default"}


def connect(timeout: float = 60) -> docker.DockerClient:
    """A client of an engine that answers, each time within `timeout` seconds.

    Raises:
        NoEngineError: none does.
    """
    try:
        return docker.from_env(environment=environ(), timeout=timeout)
    except DockerException as error:
        raise NoEngineError(
            f"No Docker engine answers at {_host()}: {error}.",
            hint="Start it (systemctl start docker), or package without one: --engine process",
        ) from error


def _host() -> str:
    """DOCKER_HOST, else what the user's current `docker context` names. The SDK knows no contexts
    by itself.
    """
    host = os.environ.get("DOCKER_HOST")
    context = None if host else docker.ContextAPI.get_current_context()
    return host or (context.Host if context else "unix:///var/run/docker.sock")
