"""A stack of Docker Swarm."""

from __future__ import annotations

import json
import time
from contextlib import suppress
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
from modelpack.errors import SmokeFailedError

HINT = "Create a swarm: docker swarm init, or run this on one of its managers"
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
        require_own(f"The stack {self._stack}", list_services(self._stack))

    def apply(self) -> None:
        self._require_own()
        options = ["--detach=true", "--prune", "--with-registry-auth", "--compose-file", self._file]
        run(["docker", "stack", "deploy", *options, self._stack], HINT)
        self._applied_at = time.monotonic()

    def status(self) -> Status:
        return combine([self._status(name) for name in self._services])

    def _status(self, name: str) -> Status:
        service = find_service(name)
        if service is None:
            return Status(0, 0)
        update = (service.get("UpdateStatus") or {}).get("State", "")
        replicas = tuple(map(_replica, list_tasks(name, "desired-state=running")))
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
        tasks = []
        for name in self._services:
            with suppress(SmokeFailedError):  # a log is a help only
                tasks += [] if name.endswith("_proxy") else _failed(name)[:1]
        command = ["docker", "service", "logs", "--tail", "4"]
        return [line for task in tasks for line in read_log([*command, str(task["ID"])])]

    def remove(self) -> None:
        """Remove the stack."""
        self._require_own()
        remove_stack(self._stack)


def _failure(name: str, service: dict[str, Any], update: str, ready: int) -> str:
    if update in _FAILED:
        return str(service["UpdateStatus"].get("Message") or update)
    failed = _failed(name)
    if ready == 0 and not update and len(failed) >= _MAX_FAILURES:
        return str(failed[0]["Error"])
    return ""


def _failed(name: str) -> list[dict[str, Any]]:
    """Return the tasks of a service that failed, the last one first."""
    return [task for task in list_tasks(name, "desired-state=shutdown") if task.get("Error")]


def _replica(task: dict[str, Any]) -> Replica:
    return Replica(str(task["Name"]), str(task["CurrentState"]), str(task.get("Error") or ""))


def list_services(stack: str) -> list[str]:
    """Return the names of the services of a stack, without that of the stack."""
    label = f"label=com.docker.stack.namespace={stack}"
    command = ["docker", "service", "ls", "--filter", label, "--format", "{{.Name}}"]
    return [name.removeprefix(f"{stack}_") for name in run(command, HINT).split()]


def find_service(name: str) -> dict[str, Any] | None:
    """Return what the swarm knows about a service, None if it does not exist."""
    try:
        text = run(["docker", "service", "inspect", name], HINT)
    except SmokeFailedError as error:
        if "no such service" in error.message.lower():
            return None
        raise
    services: list[dict[str, Any]] = json.loads(text or "[]")
    return services[0] if services else None


def list_tasks(name: str, condition: str = "") -> list[dict[str, Any]]:
    """Return the tasks of a service, the newest one of each replica first."""
    options = ["--no-trunc", "--format", "{{json .}}"]
    options += ["--filter", condition] if condition else []
    return parse_documents(run(["docker", "service", "ps", *options, name], HINT))


def remove_stack(name: str) -> None:
    """Remove a stack, and wait until its network is gone, which a new one would miss."""
    run(["docker", "stack", "rm", name], HINT)
    label = f"label=com.docker.stack.namespace={name}"
    deadline = time.monotonic() + _REMOVE_SECONDS
    while run(["docker", "network", "ls", "--quiet", "--filter", label], HINT):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
