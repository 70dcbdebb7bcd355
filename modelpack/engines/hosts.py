"""Which engine makes images and containers: its API, and the commands that talk to the same one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import docker

from modelpack.engines.protocol import OnStep
from modelpack.errors import UsageError

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
class Host:
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
