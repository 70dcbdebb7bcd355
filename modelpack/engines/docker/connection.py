"""The daemon, and the commands that reach the same one."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import docker
from docker.errors import DockerException

from modelpack import processes
from modelpack.engines.build_cache import BuildCache
from modelpack.engines.docker import buildx
from modelpack.engines.protocol import OnStep
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci.reference import ImageReference

_START = "Start it (systemctl start docker), or package without one: --engine process"
_JOIN = "Join its group (sudo usermod -aG docker $USER, then log in again), or use sudo."


def _variables() -> dict[str, str]:
    """Variables with which the `docker` command uses the same daemon as the SDK."""
    return {"DOCKER_HOST": _host(), "BUILDX_BUILDER": buildx.DEFAULT_BUILDER}


def connect_host() -> EngineHost:
    """Connect to the Docker daemon. The connection is closed with the returned object.

    Raises:
        NoEngineError: No daemon answers.
    """
    host = EngineHost("docker", _variables(), buildx, connect(), connect)
    weakref.finalize(host, host.client.close)
    return host


def connect(timeout: float = 60) -> docker.DockerClient:
    """Connect a client, which waits `timeout` seconds for each response, to the Docker daemon.

    Raises:
        NoEngineError: No daemon answers.
    """
    socket = _host().removeprefix("unix://")
    if socket.startswith("/") and not Path(socket).is_socket():
        raise _no_engine("there is no such socket")
    try:
        return docker.from_env(environment={**os.environ, **_variables()}, timeout=timeout)
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
"""Variables that name a temporary file. Podman fails if it cannot read the file."""


class BuildTool(Protocol):
    """A module that builds images.

    Attributes:
        LOCAL_OPTIONS: Options that store the result as a local image.
        ID_OPTION: The option for the file that `read_id` reads.
        DATES_FILES: Whether the files of the image get the date of the image.
    """

    LOCAL_OPTIONS: tuple[str, ...]
    ID_OPTION: str
    DATES_FILES: bool

    def run(
        self, context: Path, on_step: OnStep, *, environ: Mapping[str, str], options: Sequence[str]
    ) -> None:
        """Build a directory. `docker build` and `podman build` share the `options`.

        Raises:
            NoEngineError: The build tool is not installed.
            BuildFailedError: A step failed; the message contains the end of its output.
        """

    def read_id(self, path: Path, environ: Mapping[str, str]) -> str:
        """Return the engine's id of the new image from the file that the build wrote."""

    def cache_options(
        self, cache: BuildCache, environ: Mapping[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """Return options for `run` that import and export a cache, and variables they need.

        Raises:
            UsageError: A value is invalid.
            NoEngineError: No builder of the engine has this type of cache.
        """

    def platforms(self, environ: Mapping[str, str]) -> frozenset[str]:
        """Return the platforms whose steps it runs, natively or by emulation."""


def build_image(
    tool: BuildTool,
    context: Path,
    on_step: OnStep,
    *,
    environ: Mapping[str, str],
    options: Sequence[str] = (),
) -> str:
    """Build a local image with `BuildTool.run`, and return its id."""
    with processes.temporary_directory() as scratch:
        id_file = scratch / "id"
        options = [*tool.LOCAL_OPTIONS, f"{tool.ID_OPTION}={id_file}", *options]
        tool.run(context, on_step, environ=environ, options=options)
        return tool.read_id(id_file, environ)


@dataclass(frozen=True)
class EngineHost:
    """An engine with Docker's API, and the commands that reach it.

    Attributes:
        command: "docker" or "podman".
        variables: What `command` and the build tool need in addition to the environment.
        connect: Returns another client, which the caller closes.
    """

    command: str
    variables: Mapping[str, str]
    build_tool: BuildTool
    client: docker.DockerClient
    connect: Callable[[], docker.DockerClient]

    @cached_property
    def platform(self) -> str:
        version = self.client.version()
        return f"{version['Os']}/{version['Arch']}"

    def can_run(self, platform: str) -> bool:
        return platform == self.platform or platform in self.build_tool.platforms(self.environ)

    def engine_name(self, target: str) -> str:
        """Return the engine's name of the image that the user calls `target`.

        Raises:
            UsageError: No image can have this name.
        """
        return str(ImageReference.parse(target))

    def no_image(self, target: str) -> UsageError:
        hint = f"{self.command} pull {target}"
        return UsageError(f"{self.command.capitalize()} has no image {target}.", hint=hint)

    @property
    def environ(self) -> dict[str, str]:
        """Environment of the command and the build tool."""
        return {**os.environ, **self.variables}

    @property
    def environ_afterwards(self) -> dict[str, str]:
        """Environment of a command that runs after modelpack and its temporary files are gone."""
        lasting = {name: v for name, v in self.variables.items() if name not in _TEMPORARY}
        return {**os.environ, **lasting}
