"""A job of Docker Swarm: a service whose tasks end."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

from modelpack.deployment.controllers.controller import (
    Location,
    Replica,
    read_log,
    require_own,
    run,
)
from modelpack.deployment.controllers.job import LOG_LINES, SERVICE, JobStatus, find_report
from modelpack.deployment.controllers.swarm import (
    HINT,
    find_service,
    list_services,
    list_tasks,
    remove_stack,
)
from modelpack.deployment.jobs import FINAL_STATUSES
from modelpack.errors import SmokeFailedError

_ENDED = {"failed", "rejected", "orphaned", "shutdown", "remove"}
_RESTART = timedelta(seconds=10)
"""A swarm creates the next task of a shard earlier than this, if it does at all."""
_TRIES = 5
_FRACTION = re.compile(r"\.\d+")


class SwarmJob:
    """A `JobController` of a stack with one service, in the mode `replicated-job`."""

    def __init__(self, location: Location) -> None:
        self._file = str(location.directory / "job.yaml")
        self._stack = location.name
        self._service = f"{location.name}_{SERVICE}"

    def apply(self, *, has_changed: bool) -> None:
        """Deploy the stack, or start a failed job again.

        `docker stack deploy` starts each job again, also one that has not changed.
        """
        self._require_own()
        if has_changed or find_service(self._service) is None:
            options = ["--detach=true", "--with-registry-auth", "--compose-file", self._file]
            run(["docker", "stack", "deploy", *options, self._stack], HINT)
        elif self.status().failed:
            run(["docker", "service", "update", "--force", "--detach", self._service], HINT)

    def _require_own(self) -> None:
        require_own(f"The stack {self._stack}", list_services(self._stack), {SERVICE})

    def status(self) -> JobStatus:
        service = find_service(self._service)
        if service is None:
            return JobStatus(0)
        mode = service["Spec"]["Mode"].get("ReplicatedJob") or {}
        expected = int(mode.get("TotalCompletions") or mode.get("MaxConcurrent") or 1)
        shards = self._shards(_number(service.get("JobStatus")))
        done = sum(any(_state(task) == "complete" for task in tasks) for tasks in shards.values())
        failures = [reason for tasks in shards.values() if (reason := _failure(tasks))]
        return JobStatus(
            expected,
            done,
            len(failures),
            tuple(
                _container(self._service, tasks[0])
                for _, tasks in sorted(shards.items())
                if not any(_state(task) == "complete" for task in tasks)
            ),
            is_complete=done >= expected,
            failure=failures[0] if failures else "",
        )

    def _shards(self, number: int) -> dict[int, list[dict[str, Any]]]:
        """Return the tasks of each shard in the last run of the job, the newest one first."""
        tasks = self._tasks()
        current = [task for task in tasks if _number(task.get("JobIteration")) == number]
        shards: dict[int, list[dict[str, Any]]] = {}
        for task in sorted(current, key=lambda task: str(task["CreatedAt"]), reverse=True):
            shards.setdefault(int(task.get("Slot") or 0), []).append(task)
        return shards

    def _tasks(self) -> list[dict[str, Any]]:
        """Return the tasks, which a swarm may delete between two commands."""
        for tries in range(_TRIES):
            ids = [str(task["ID"]) for task in list_tasks(self._service)]
            try:
                text = run(["docker", "inspect", "--type=task", *ids], HINT) if ids else "[]"
                break
            except SmokeFailedError as error:
                if "not found" not in error.message or tries == _TRIES - 1:
                    raise
        tasks: list[dict[str, Any]] = json.loads(text)
        return tasks

    def logs(self) -> list[str]:
        return read_log(["docker", "service", "logs", "--raw", "--tail", "4", self._service])

    def report(self) -> dict[str, Any] | None:
        options = ["--raw", "--tail", str(LOG_LINES)]
        text = run(["docker", "service", "logs", *options, self._service], HINT, check=False)
        return find_report(text.splitlines())

    def remove(self) -> None:
        self._require_own()
        remove_stack(self._stack)


def _number(version: dict[str, Any] | None) -> int:
    """Return the number of a run, of `JobStatus` and of tasks. Docker leaves out 0."""
    version = version or {}
    return int((version.get("JobIteration") or version).get("Index") or 0)


def _state(task: dict[str, Any]) -> str:
    return str(task["Status"]["State"])


def _exit_code(task: dict[str, Any]) -> int:
    return int((task["Status"].get("ContainerStatus") or {}).get("ExitCode") or 0)


def _failure(tasks: list[dict[str, Any]]) -> str:
    """Return why a shard is not started again; "" if it may be, or runs, or is done."""
    states = {_state(task) for task in tasks}
    if "complete" in states:
        return ""
    final = [task for task in tasks if _exit_code(task) in FINAL_STATUSES]
    if not final and not states <= _ENDED:
        return ""
    newest = tasks[0]
    if not final and _time(newest["Status"]["Timestamp"]) + _RESTART > datetime.now(timezone.utc):
        return ""
    failed = final[0] if final else newest
    return str(failed["Status"].get("Err") or _state(failed))


def _time(text: str) -> datetime:
    """Parse a time of Docker, which has nanoseconds."""
    return datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))


def _container(service: str, task: dict[str, Any]) -> Replica:
    status = task["Status"]
    return Replica(f"{service}.{task.get('Slot', 0)}", _state(task), str(status.get("Err") or ""))
