"""`deploy --apply`, `--status` and `--remove` of a batch job, which ends."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.deployment import Folder
from modelpack.deployment.controllers import (
    JOB_CONTROLLERS,
    Context,
    JobController,
    JobStatus,
    Location,
)
from modelpack.engines import StepEvent
from modelpack.errors import SmokeFailedError
from modelpack.files import read_regular

from .apply import not_a_deployment, notify_of_context, read_names
from .contexts import forget_applied, record_context, require_context
from .stages import Pipeline

POLL_SECONDS = 1.0
START_SECONDS = 300.0
"""Time in which the first container of a job must start: its image is pulled before."""
_STATE = "_modelpack"
"""Folder in that of the predictions: serving/batch/plan.py. A test compares them."""
_MAX_PLAN = 2**28
_WAITING = {
    *("new", "pending", "assigned", "accepted", "preparing", "ready", "starting"),
    *("Pending", "ContainerCreating", "ErrImagePull", "ImagePullBackOff"),
    "CreateContainerConfigError",
}
"""States of tasks of a swarm and of pods whose container has not started."""


@dataclass(frozen=True)
class Parts:
    """The parts of the rows: their number, and how many are finished."""

    expected: int
    done: int


@dataclass(frozen=True)
class AppliedJob:
    """A job that was applied, as its platform reports it.

    Attributes:
        parts: Of the predictions, if their folder is one of this machine.
        report: Of a complete job, if the log of a container has it.
    """

    platform: str
    name: str
    status: JobStatus
    parts: Parts | None = None
    report: dict[str, Any] | None = None

    @property
    def summary(self) -> str:
        parts = self.parts
        added = f", {parts.done} of {parts.expected} parts" if parts else ""
        return self.status.summary + added

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack deploy --status --json` of a job."""
        status = self.status
        return {
            "to": self.platform,
            "name": self.name,
            "complete": status.is_complete,
            "shards": {
                "expected": status.expected,
                "done": status.done,
                "failed": status.failed,
            },
            "parts": vars(self.parts) if self.parts else None,
            "failure": status.failure,
            "containers": [vars(container) for container in status.containers],
            "report": self.report,
        }


def is_job(path: Path) -> bool:
    """Return whether a folder has the files of a job. Raise UsageError if its record is damaged."""
    return bool(Folder(path).record.get("job"))


def apply(run: Pipeline, path: Path, context: str | None = None) -> AppliedJob:
    """Run the job of a folder, and wait until it is complete.

    One that runs is watched, and one that failed goes on with the parts that are not finished. An
    interruption ends the wait and not the job.

    Args:
        run: The pipeline.
        path: The folder.
        context: Of kubectl (default: the current one, which must be that of the last time).

    Raises:
        UsageError: The folder is not a job, or the context is another one.
        SmokeFailedError: A shard failed, or no container starts.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    controller, used = _open(folder, context)
    if used:  # a cluster that does not respond is not recorded
        controller.status()
    record_context(folder, used)
    notify_of_context(run, used)
    with run.stage("apply") as summary:
        controller.apply(has_changed=not folder.is_applied())
        folder.mark_applied()
        job = _wait(run, folder, controller)
        summary.append(job.summary)
    if job.report is None:
        run.observer.notice("The log of no container has the report. It is in the predictions.")
    return job


def _wait(run: Pipeline, folder: Folder, controller: JobController) -> AppliedJob:
    """Wait until a job is complete, and report each change.

    Raises:
        SmokeFailedError: A shard failed, no container starts in time, or the job was removed.
    """
    started, shown, has_started, known = time.monotonic(), "", False, False
    while True:
        job = _read(folder, controller)
        status, seconds = job.status, time.monotonic() - started
        known = known or status.exists
        if job.summary != shown and status.exists:
            shown = job.summary
            run.observer.step(StepEvent(shown, "started", seconds))
        if status.is_complete:
            return job
        waits = all(each.state in _WAITING for each in status.containers)
        has_started = has_started or status.done > 0 or not waits
        if known and not status.exists:
            raise SmokeFailedError("The job was removed.", hint="Run it again with --apply.")
        if status.failure or (not has_started and seconds > START_SECONDS):
            raise _failed(run, job, controller, seconds)
        time.sleep(POLL_SECONDS)


def _failed(
    run: Pipeline, job: AppliedJob, controller: JobController, seconds: float
) -> SmokeFailedError:
    for line in controller.logs():
        run.observer.notice(f"log: {line}")
    details = "; ".join(
        f"{each.name}: {each.state} {each.detail}".strip() for each in job.status.containers[:3]
    )
    reason = job.status.failure or f"no container has started in {seconds:.0f} s"
    return SmokeFailedError(
        f"The job failed: {reason} ({job.summary})." + (f" {details}." if details else ""),
        hint="Correct the cause, and run --apply again: finished parts are kept. Or run --remove.",
    )


def status(path: Path, context: str | None = None) -> AppliedJob:
    """Return the state of the job in a folder. `context`: see `apply`.

    Raises:
        UsageError: The folder is not a job, or the context is another one.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    controller, _ = _open(folder, context)
    return _read(folder, controller)


def require_success(job: AppliedJob) -> None:
    """Require that all parts are finished. Raise SmokeFailedError if they are not."""
    if not job.status.is_complete:
        state = job.summary if job.status.exists else "it is not deployed"
        failure = f"{job.status.failure}; " if job.status.failure else ""
        raise SmokeFailedError(
            f"{job.name} is not complete: {failure}{state}.",
            hint="Run it with --apply, which goes on with the parts that are not finished.",
        )


def remove(run: Pipeline, path: Path, context: str | None = None) -> None:
    """Remove a job from its platform. The files and the predictions stay. `context`: see `apply`.

    Raises:
        UsageError: The folder is not a job, or the context is another one.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    controller, used = _open(folder, context)
    notify_of_context(run, used)
    with run.stage("remove") as summary:
        controller.remove()
        forget_applied(folder, used)
        summary.append(read_names(folder)[1])


def _open(folder: Folder, chosen: str | None) -> tuple[JobController, Context | None]:
    platform, name, namespace = read_names(folder)
    if platform not in JOB_CONTROLLERS:
        raise not_a_deployment(folder)
    used = require_context(folder, platform, namespace, chosen)
    if used:
        namespace = used.namespace
    location = Location(folder.path, name, namespace, context=used.name if used else "")
    return JOB_CONTROLLERS[platform](location), used


def _read(folder: Folder, controller: JobController) -> AppliedJob:
    platform, name, _ = read_names(folder)
    status = controller.status()
    report = controller.report() if status.is_complete else None
    return AppliedJob(platform, name, status, _find_parts(folder), report)


def _find_parts(folder: Folder) -> Parts | None:
    """Return the parts, from the folder of predictions if it is one of this machine."""
    predictions = folder.record.get("predictions")
    if not isinstance(predictions, str) or not predictions.startswith("/"):
        return None
    state = Path(predictions) / _STATE
    try:
        plan = json.loads(read_regular(state / "plan.json", _MAX_PLAN))
        expected = sum(len(file["ranges"]) for file in plan["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    done = sum(not path.name.startswith(".") for path in (state / "parts").rglob("*.json"))
    return Parts(expected, done)
