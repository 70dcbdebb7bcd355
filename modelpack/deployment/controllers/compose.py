"""Docker Compose."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from modelpack.deployment.controllers.controller import (
    Location,
    Replica,
    Status,
    parse_documents,
    read_log,
    require_own,
    run,
)
from modelpack.deployment.folder import COMPOSE_FILE, COMPOSE_OVERRIDE
from modelpack.errors import NoEngineError

_HINT = "Install Docker's Compose plugin; on Debian: apt-get install docker-compose"
_SERVICE = '{{.Label "com.docker.compose.service"}}'
_FAILED = {"dead", "exited", "restarting"}
_TEST = ("nginx", "-e", "stderr", "-t", "-q", "-c", "/etc/modelpack/nginx.conf")


class Compose:
    """A `Controller` of containers on this machine."""

    def __init__(self, location: Location) -> None:
        self._name, self._services = location.name, location.services
        self._versions = [each for each in location.services if each != "proxy"]
        self._has_new_token = location.has_new_token
        override = location.directory / COMPOSE_OVERRIDE
        files = [location.directory / COMPOSE_FILE, *([override] if override.exists() else [])]
        options = [option for file in files for option in ("--file", str(file))]
        self._options = ["--project-name", location.name, *options]

    def apply(self) -> None:
        """Start or update the containers. The proxy reads its configuration without a restart."""
        self._require_own()
        if self._has_new_token:  # which Compose does not see, as only the content of a file differs
            self._run("up", "--detach", "--no-deps", "--force-recreate", *self._versions)
        self._run("up", "--detach", "--remove-orphans")
        if "proxy" in self._services:
            self._run("exec", "--no-TTY", "proxy", *_TEST)
            self._run("kill", "--signal", "HUP", "proxy")

    def status(self) -> Status:
        replicas, ready, failure = [], 0, ""
        for entry in parse_documents(self._run("ps", "--all", "--format", "json")):
            state, health = str(entry.get("State")), str(entry.get("Health") or "")
            ready += health == "healthy"
            replica = Replica(str(entry.get("Name")), f"{state} ({health})" if health else state)
            replicas.append(replica)
            if health == "unhealthy" or state in _FAILED:
                failure = f"{replica.name} is {replica.state}"
        expected = max(len(replicas), len(self._services)) if replicas else 0
        return Status(ready, expected, tuple(replicas), failure=failure)

    def logs(self) -> list[str]:
        options = ["logs", "--no-color", "--tail", "4"]
        return read_log([*_command(), *self._options, *options, *self._versions])

    def remove(self) -> None:
        self._require_own()
        self._run("down", "--remove-orphans")

    def _require_own(self) -> None:
        label = f"label=com.docker.compose.project={self._name}"
        command = ["docker", "ps", "--all", "--filter", label, "--format", _SERVICE]
        require_own(f"The Compose project {self._name}", run(command, _HINT).split())

    def _run(self, *arguments: str) -> str:
        return run([*_command(), *self._options, *arguments], _HINT)


@cache
def _command() -> tuple[str, ...]:
    """Return the command of Compose: a plugin of Docker, or a program."""
    plugin = ("docker", "compose")
    try:
        done = subprocess.run([*plugin, "version"], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise NoEngineError("docker is not installed.", hint=_HINT) from error
    if done.returncode == 0:
        return plugin
    if shutil.which("docker-compose"):
        return ("docker-compose",)
    raise NoEngineError("Docker Compose is not installed.", hint=_HINT)
