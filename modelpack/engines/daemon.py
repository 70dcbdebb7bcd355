"""Connects to the Docker engine that the `docker` command of this user would talk to."""

from __future__ import annotations

import os
from pathlib import Path

import docker
from docker.errors import DockerException

from modelpack.engines import buildx
from modelpack.engines.hosts import Host
from modelpack.errors import NoEngineError

_START = "Start it (systemctl start docker), or package without one: --engine process"
_JOIN = "Join its group (sudo usermod -aG docker $USER, then log in again), or use sudo."


def environ() -> dict[str, str]:
    """The environment for the `docker` command, which then talks to the same engine as the SDK.

    The builder is the engine's own: another one would know nothing of the images here.
    """
    return {**os.environ, **_variables()}


def _variables() -> dict[str, str]:
    return {"DOCKER_HOST": _host(), "BUILDX_BUILDER": "default"}


def host() -> Host:
    """The engine as containers are made by it.

    Raises:
        NoEngineError: none answers.
    """
    return Host("docker", _variables(), buildx, connect(), connect)


def connect(timeout: float = 60) -> docker.DockerClient:
    """A client of an engine that answers, each time within `timeout` seconds.

    Raises:
        NoEngineError: none does.
    """
    socket = _host().removeprefix("unix://")
    if socket.startswith("/") and not Path(socket).is_socket():
        raise _no_engine("there is no such socket")
    try:
        return docker.from_env(environment=environ(), timeout=timeout)
    except DockerException as error:
        if "PermissionError" in str(error):
            raise _no_engine("this user may not talk to it", _JOIN) from error
        raise _no_engine(str(error)) from error


def _no_engine(why: str, hint: str = _START) -> NoEngineError:
    return NoEngineError(f"No Docker engine answers at {_host()}: {why}.", hint=hint)


def _host() -> str:
    """DOCKER_HOST, else what the user's current `docker context` names. The SDK knows no contexts
    by itself.
    """
    host = os.environ.get("DOCKER_HOST")
    context = None if host else docker.ContextAPI.get_current_context()
    return host or (context.Host if context else "unix:///var/run/docker.sock")
