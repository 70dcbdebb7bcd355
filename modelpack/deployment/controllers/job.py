"""What each controller of a job does, and the state of a job."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from modelpack.deployment.controllers.controller import Location, Replica

SERVICE = "predict"
"""Of the stack of a swarm, and the container of a pod."""
LOG_LINES = 20
"""Lines at the end of a container's log that contain its report."""
_REPORT = {"files", "parts", "rows", "written", "without_prediction"}


@dataclass(frozen=True)
class JobStatus:
    """The state of a job.

    Attributes:
        expected: The shards of the job.
        done: Shards whose parts are finished.
        failed: Shards that the platform does not start again.
        containers: Those of shards that are not done, in the words of their platform.
        is_complete: Whether all shards are done.
        failure: Why a shard failed; "" if none did.
    """

    expected: int
    done: int = 0
    failed: int = 0
    containers: tuple[Replica, ...] = ()
    is_complete: bool = False
    failure: str = ""

    @property
    def exists(self) -> bool:
        return self.expected > 0

    @property
    def summary(self) -> str:
        if not self.exists:
            return "not deployed"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.expected} shards done{failed}"


class JobController(Protocol):
    """Runs, watches and removes a job. Its methods raise the errors of `controller.run`."""

    def __init__(self, location: Location) -> None: ...

    def apply(self, *, has_changed: bool) -> None:
        """Run the job. One of the same files that runs or is complete stays as it is.

        One that failed is started again.

        Args:
            has_changed: Whether the files may differ from those that were applied last.
        """

    def status(self) -> JobStatus:
        """Return its state, which is empty if it does not exist."""

    def logs(self) -> list[str]:
        """Return the last lines of its containers, without control characters."""

    def report(self) -> dict[str, Any] | None:
        """Return the report on the output, if the log of a container has it."""

    def remove(self) -> None:
        """Remove the job and its containers. The predictions stay. Do nothing without a job."""


def find_report(lines: Iterable[str]) -> dict[str, Any] | None:
    """Return the last report in a log."""
    found: dict[str, Any] | None = None
    for line in lines:
        if not line.lstrip().startswith("{"):
            continue
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if set(document) == _REPORT:
            found = document
    return found
