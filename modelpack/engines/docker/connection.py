"""The daemon, and the commands that reach the same one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import docker
from docker.errors import DockerException

from modelpack.engines.docker import buildx
from modelpack.engines.protocol import OnStep
from modelpack.errors import NoEngineError, UsageError

_START = "Start it (systemctl start docker), or package without one: --engine process"
_JOIN = "Join its group (sudo usermod -aG docker $USER, then log in again), or use sudo."


def environ() -> dict[str, str]:
    """The environment for the `docker` command, which then talks to the same engine as the SDK.

    The builder is the engine's own: another one would know nothing of the images here.
    """
    return {**os.environ, **_variables()}


def _variables() -> dict[str, str]:
    return {"DOCKER_HOST": _host(), "BUILDX_BUILDER": "default"}


def host() -> EngineHost:
    """The engine as containers are made by it.

    Raises:
        NoEngineError: none answers.
    """
    return EngineHost("docker", _variables(), buildx, connect(), connect)


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


_TEMPORARY = {"CONTAINERS_CONF_OVERRIDE"}
"""Variables that name a file of modelpack. Podman does nothing if it cannot read it."""


class Builder(Protocol):
    """What makes images of a folder with a Dockerfile: a module with these functions."""

    def build(
        self,
        context: Path,
        on_step: OnStep,
        *,
        environ: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> str:
        """Builds a local image; returns its id. `options`: those that `docker build` and `podman
        build` share.

        Raises:
            NoEngineError: there is no such builder.
            BuildFailedError: with the step that failed and the end of its output.
        """

    def run(
        self,
        context: Path,
        on_step: OnStep,
        *,
        environ: Mapping[str, str],
        options: Sequence[str],
    ) -> None:
        """As `build`, but `options` say what becomes of the result."""

    def platforms(self, environ: Mapping[str, str]) -> frozenset[str]:
        """The platforms that it runs steps of, by itself or by emulation."""


@dataclass(frozen=True)
class EngineHost:
    """An engine that speaks Docker's API. `variables`: what `command`, "docker" or "podman", and
    the builder need beside this process's own. `connect`: gives another client, which is its
    caller's to close.
    """

    command: str
    variables: Mapping[str, str]
    builder: Builder
    client: docker.DockerClient
    connect: Callable[[], docker.DockerClient]

    def no_image(self, target: str) -> UsageError:
        hint = f"{self.command} pull {target}"
        return UsageError(f"There is no image {target} here.", hint=hint)

    @property
    def environ(self) -> dict[str, str]:
        """Of the command and the builder."""
        return {**os.environ, **self.variables}

    @property
    def environ_afterwards(self) -> dict[str, str]:
        """Of a command that runs when modelpack is gone, and with it its temporary files."""
        lasting = {name: v for name, v in self.variables.items() if name not in _TEMPORARY}
        return {**os.environ, **lasting}
