"""What each controller does, and the commands that it runs.

The commands are those of the user, with the user's context. modelpack reads no credentials.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modelpack.deployment.targets import SERVICES
from modelpack.errors import NoEngineError, SmokeFailedError, UsageError

_SECONDS = 120.0
_MAX_LINES = 8
_MAX_LINE = 500
_LOG_SECONDS = 20.0
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Replica:
    """A replica of a service.

    Attributes:
        state: In the words of its platform: "running (healthy)", "Pending".
        detail: Why it does not run, if that is known.
    """

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """The state of a deployment.

    Attributes:
        ready: Replicas that are healthy.
        expected: Replicas that should be.
        is_current: Whether they are of the newest files, and no update is running.
        failure: Why the newest files will not become ready; "" if they may.
    """

    ready: int
    expected: int
    replicas: tuple[Replica, ...] = ()
    is_current: bool = True
    failure: str = ""

    @property
    def is_ready(self) -> bool:
        return self.is_current and self.ready >= self.expected > 0 and not self.failure

    @property
    def exists(self) -> bool:
        return self.expected > 0 or bool(self.replicas)

    @property
    def summary(self) -> str:
        return f"{self.ready} of {self.expected} replicas ready"


def combine(statuses: Sequence[Status]) -> Status:
    """Return the state of several services together. It is empty if the first does not exist."""
    if not statuses[0].exists:
        return statuses[0]
    return Status(
        sum(status.ready for status in statuses),
        # One that does not exist should have a replica.
        sum(status.expected if status.exists else 1 for status in statuses),
        tuple(replica for status in statuses for replica in status.replicas),
        is_current=all(status.is_current for status in statuses),
        failure=next((status.failure for status in statuses if status.failure), ""),
    )


@dataclass(frozen=True)
class Location:
    """A deployment in a folder.

    Attributes:
        namespace: Of Kubernetes.
        services: What the deployment consists of: "model" and, if it has them, "canary" or
            "shadow", "proxy", and "route" of Kubernetes.
        former_services: The same of the files that were applied last, without `services`.
        has_new_token: Whether the token is another one than that of the running containers.
        context: Of kubectl; "" for that of its configuration.
    """

    directory: Path
    name: str
    namespace: str = ""
    services: tuple[str, ...] = ("model",)
    former_services: tuple[str, ...] = ()
    has_new_token: bool = False
    context: str = ""


class Controller(Protocol):
    """Applies, watches and removes a deployment. Its methods raise the errors of `run`."""

    def __init__(self, location: Location) -> None: ...

    def apply(self) -> None:
        """Start or update the deployment. Do not wait until it is ready."""

    def status(self) -> Status:
        """Return its state, which is empty if it does not exist."""

    def logs(self) -> list[str]:
        """Return the last lines that its replicas logged, without those of a proxy."""

    def remove(self) -> None:
        """Remove everything of it from the platform. Do nothing if it does not exist."""


def run(command: Sequence[str], hint: str, *, check: bool = True) -> str:
    """Run a command, and return its output.

    Args:
        command: The command.
        hint: How to install it.
        check: Raise an error if it fails; otherwise return "".

    Raises:
        NoEngineError: The command does not exist.
        SmokeFailedError: It fails, or does not end in two minutes.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError as error:
        raise NoEngineError(f"{command[0]} is not installed.", hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise SmokeFailedError(f"`{' '.join(command[:3])}` did not end.", hint=hint) from error
    if done.returncode == 0:
        return done.stdout
    if check:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_MAX_LINES:]
        raise SmokeFailedError(
            f"`{' '.join(command[:3])}` failed: {' '.join(lines)}", hint=f"Run: {' '.join(command)}"
        )
    return ""


def read_log(command: Sequence[str]) -> list[str]:
    """Return the last lines that a command prints, or none if it fails: a log is a help only."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=True,
            timeout=_LOG_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    text = _TERMINAL_CODES.sub("", done.stdout)
    lines = [line for line in text.splitlines() if line.strip()][-_MAX_LINES:]
    return ["".join(c if c.isprintable() else " " for c in line[:_MAX_LINE]) for line in lines]


def require_own(name: str, services: Iterable[str], own: Collection[str] = SERVICES) -> None:
    """Require that a project or stack has no services of others, which would be removed.

    Raises:
        UsageError: It has.
    """
    foreign = sorted(set(services).difference(own))
    if foreign:
        raise UsageError(
            f"{name} is in use by services that are not of this deployment: {', '.join(foreign)}.",
            hint="Remove them, or give this deployment another name: --name NAME",
        )


def parse_documents(text: str) -> list[dict[str, Any]]:
    """Return the objects in JSON: one list, one object, or one object per line."""
    if text.lstrip().startswith("["):
        documents: list[dict[str, Any]] = json.loads(text)
        return documents
    return [json.loads(line) for line in text.splitlines() if line.strip()]
