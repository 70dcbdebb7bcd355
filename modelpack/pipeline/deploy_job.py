"""`deploy --batch`: the files of a job that predicts a folder in parts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.deployment import Folder, WriteResult
from modelpack.deployment.jobs import (
    JOBS,
    PREDICTIONS,
    ROWS,
    Job,
    job_numbers,
    parse_volume,
    render_job,
)
from modelpack.errors import UsageError

from .deploy import default_name, format_command, image_record, notify_of_files, require_name
from .measured import measure
from .stages import Pipeline
from .targets import Target

SUFFIX = "-batch"
"""A job and a service of one image are next to each other, and share no name, label or network."""


@dataclass(frozen=True)
class JobRequest:
    """What to predict where.

    Attributes:
        platform: A key of `JOBS`.
        folders: Of rows and of predictions.
        options: More options of `predict`, as a line of a shell.
        report: Smoke report with the measurements.
        force: Replace edited files.
    """

    platform: str
    output: Path
    folders: tuple[str, str]
    options: str = ""
    name: str | None = None
    namespace: str | None = None
    replicas: int = 2
    report: Path | None = None
    force: bool = False


@dataclass(frozen=True)
class JobResult:
    """The written files of a job."""

    request: JobRequest
    job: Job
    changes: WriteResult

    @property
    def command(self) -> str:
        """The command that runs the job."""
        template = JOBS[self.request.platform].command
        return format_command(template, self.request.output, self.job.name)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack deploy --batch --json`."""
        job = self.job
        numbers = {
            "shards": job.shards,
            "memory_mib": job.memory_mib,
            "cpu_millicores": job.cpu_millicores,
        }
        return {
            "to": self.request.platform,
            "name": job.name,
            "image": job.image.reference,
            "output": str(self.request.output),
            "command": self.command,
            **{name: list(paths) for name, paths in vars(self.changes).items()},
            "plan": {name: vars(number) for name, number in numbers.items()},
        }


def deploy_job(run: Pipeline, target: Target, request: JobRequest) -> JobResult:
    """Write the files of a job that predicts a folder with an image or a bundle.

    Raises:
        UsageError: There is no such image, or the platform needs a registry that has it; a file was
            edited; a name, a folder or an option is not valid.
        SmokeFailedError: The image was not measured before, and fails its smoke test.
    """
    if request.platform not in JOBS:
        raise UsageError(
            f"{request.platform} has no jobs.", hint=f"Add one of: --to {', --to '.join(JOBS)}"
        )
    platform, folder = JOBS[request.platform], Folder(request.output)
    rows, predictions = request.folders
    volumes = (parse_volume(rows, ROWS, platform), parse_volume(predictions, PREDICTIONS, platform))
    options = _split_options(request.options)
    measured = measure(run, target, platform, folder.record, request.report)
    with run.stage("deploy") as summary:
        name = require_name(request.name) if request.name else default_name(measured.name)
        job = Job(
            f"{name}{SUFFIX}",
            measured.image,
            *volumes,
            require_name(request.namespace) if request.namespace else "",
            *job_numbers(measured.report, request.replicas),
            options,
        )
        record = {
            "to": request.platform,
            "name": job.name,
            "namespace": job.namespace,
            "job": True,
            # As given: a folder of this machine shows the progress of a job.
            "predictions": predictions,
            **image_record(job.image, measured.report),
        }
        files = render_job(request.platform, job)
        changes = folder.write(files, record, editable=platform.editable, force=request.force)
        summary.append(
            f"{job.shards.value} x {job.memory_mib.value} MiB,"
            f" {job.cpu_millicores.value / 1000:g} cores"
        )
    notify_of_files(run, [job.image], changes)
    return JobResult(request, job, changes)


def _split_options(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"The options of the batch cannot be read: {error}.",
            hint="Quote them as in a shell: --batch-options '--keep id --probabilities'",
        ) from error
