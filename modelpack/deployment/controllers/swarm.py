"""A stack of Docker Swarm."""

from __future__ import annotations

import json
import time
from typing import Any

from modelpack.deployment.controllers.controller import (
    Location,
    Replica,
    Status,
    combine,
    parse_documents,
    read_log,
    require_own,
    run,
)

_HINT = "Create a swarm: docker swarm init, or run this on one of its managers"
_UPDATING = {"updating", "rollback_started"}
_FAILED = {"paused", "rollback_completed", "rollback_paused"}
_MAX_FAILURES = 3
"""Tasks that may fail before the first replica is ready."""
_PENDING_SECONDS = 5.0
"""Time in which a swarm starts an update."""
_REMOVE_SECONDS = 60.0


class Swarm:
    """A `Controller` of services in a swarm, whose updates the swarm rolls back itself."""

    def __init__(self, location: Location) -> None:
        self._file = str(location.directory / "stack.yaml")
        self._stack = location.name
        self._services = [f"{location.name}_{service}" for service in location.services]
        self._applied_at = float("-inf")

    def _require_own(self) -> None:
        label = f"label=com.docker.stack.namespace={self._stack}"
        command = ["docker", "service", "ls", "--filter", label, "--format", "{{.Name}}"]
        names = run(command, _HINT, check=False).split()
        services = [name.removeprefix(f"{self._stack}_") for name in names]
        require_own(f"The stack {self._stack}", services)

    def apply(self) -> None:
        self._require_own()
        options = ["--detach=true", "--prune", "--with-registry-auth", "--compose-file", self._file]
        run(["docker", "stack", "deploy", *options, self._stack], _HINT)
        self._applied_at = time.monotonic()

    def status(self) -> Status:
        return combine([self._status(name) for name in self._services])

    def _status(self, name: str) -> Status:
        text = run(["docker", "service", "inspect", name], _HINT, check=False)
        if not text:
            return Status(0, 0)
        (service,) = json.loads(text)
        update = (service.get("UpdateStatus") or {}).get("State", "")
        replicas = tuple(map(_replica, _tasks(name, "desired-state=running")))
        ready = sum(replica.state.startswith("Running") for replica in replicas)
        replicated = service["Spec"]["Mode"].get("Replicated")
        expected = int(replicated["Replicas"]) if replicated else max(1, len(replicas))
        return Status(
            ready,
            expected,
            replicas,
            is_current=update not in _UPDATING and not self._is_pending(service, update),
            failure=_failure(name, service, update, ready),
        )

    def _is_pending(self, service: dict[str, Any], update: str) -> bool:
        """Return whether an update is about to start: the swarm reports none in the meantime."""
        previous = (service.get("PreviousSpec") or service["Spec"])["TaskTemplate"]
        has_changed = service["Spec"]["TaskTemplate"] != previous
        return has_changed and not update and time.monotonic() - self._applied_at < _PENDING_SECONDS

    def logs(self) -> list[str]:
        """Return those of the task of each service that failed last: other tasks log more."""
        names = [name for name in self._services if not name.endswith("_proxy")]
        tasks = [task for name in names for task in _failed(name)[:1]]
        command = ["docker", "service", "logs", "--tail", "4"]
        return [line for task in tasks for line in read_log([*command, str(task["ID"])])]

    def remove(self) -> None:
        """Remove the stack, and wait until its network is gone, which a new one would miss."""
        self._require_own()
        run(["docker", "stack", "rm", self._stack], _HINT)
        label = f"label=com.docker.stack.namespace={self._stack}"
        deadline = time.monotonic() + _REMOVE_SECONDS
        while run(["docker", "network", "ls", "--quiet", "--filter", label], _HINT):
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)


def _failure(name: str, service: dict[str, Any], update: str, ready: int) -> str:
    if update in _FAILED:
        return str(service["UpdateStatus"].get("Message") or update)
    failed = _failed(name)
    if ready == 0 and not update and len(failed) >= _MAX_FAILURES:
        return str(failed[0]["Error"])
    return ""


def _failed(name: str) -> list[dict[str, Any]]:
    """Return the tasks of a service that failed, the last one first."""
    return [task for task in _tasks(name, "desired-state=shutdown") if task.get("Error")]


def _tasks(name: str, condition: str) -> list[dict[str, Any]]:
    options = ["--no-trunc", "--format", "{{json .}}", "--filter", condition]
    return parse_documents(run(["docker", "service", "ps", *options, name], _HINT, check=False))


def _replica(task: dict[str, Any]) -> Replica:
    return Replica(str(task["Name"]), str(task["CurrentState"]), str(task.get("Error") or ""))
