"""Jobs that predict a folder in parts: their numbers, and the rendering of their files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from modelpack._version import __version__
from modelpack.bundle.templates import render_template
from modelpack.deployment.plan import MIB, Number, require_load
from modelpack.deployment.targets import ImageFacts
from modelpack.errors import UsageError
from modelpack.types import SmokeReport

# Of the batch: serving/batch/command.py and serving/batch/predict.py. Tests compare them.
MAX_VALUES = 1_000_000
FINAL_STATUSES = (2, 65, 66, 70)
"""Exit statuses of wrong options, of rows and of models: another try ends in the same way."""

BYTES_PER_VALUE = 400
"""Up to 280 were measured, in chunks of csv with 4 to 1,000 numbers or short texts in a row."""
MARGIN = 1.25
MEMORY_STEP = 16 * MIB
CPU_MILLICORES = 1000
RETRIES = 6
ROWS, PREDICTIONS = "/rows", "/predictions"
"""Where the volumes are in a container."""
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")
_CLAIM = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Volume:
    """A folder of a job, and where a container has it.

    Attributes:
        name: A folder of each node, or a volume: a PersistentVolumeClaim of Kubernetes.
        mount: Its path in a container.
        folder: The path of the folder in a container.
    """

    name: str
    mount: str
    folder: str

    @property
    def is_path(self) -> bool:
        return self.name.startswith("/")


@dataclass(frozen=True)
class Job:
    """A job that predicts a folder.

    Attributes:
        name: Of the job and its objects: letters, digits and hyphens.
        rows, predictions: The folders.
        namespace: Of Kubernetes; "" for that of the context.
        shards: Containers that share the parts of the folder.
        memory_mib, cpu_millicores: Requests and limits of each.
        options: More options of `predict`.
    """

    name: str
    image: ImageFacts
    rows: Volume
    predictions: Volume
    namespace: str
    shards: Number
    memory_mib: Number
    cpu_millicores: Number
    options: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command of each container."""
        folders = ("--folder", self.rows.folder, self.predictions.folder)
        return ("predict", *folders, "--shards", str(self.shards.value), *self.options)


@dataclass(frozen=True)
class JobTarget:
    """A platform for jobs.

    Attributes:
        files: Path in the folder -> template below `templates/deploy/`.
        command: Runs the job; DIR stands for the folder, and NAME for the job.
        editable: Files that users are expected to edit.
        needs_registry: Whether other machines pull the image.
        takes_paths: Whether a folder of each node can be mounted.
    """

    files: Mapping[str, str]
    command: str
    editable: frozenset[str] = frozenset()
    needs_registry: bool = False
    takes_paths: bool = False


JOBS: Mapping[str, JobTarget] = {
    "swarm": JobTarget(
        {"job.yaml": "job/swarm.yaml.j2", ".gitignore": "gitignore.j2"},
        "docker stack deploy -c DIR/job.yaml NAME",
        takes_paths=True,
    ),
    "kubernetes": JobTarget(
        {
            "job.yaml": "job/kubernetes.yaml.j2",
            "networkpolicy.yaml": "job/networkpolicy.yaml.j2",
            "kustomization.yaml": "job/kustomization.yaml.j2",
            ".gitignore": "gitignore.j2",
        },
        "kubectl apply -k DIR",
        editable=frozenset({"kustomization.yaml"}),
        needs_registry=True,
    ),
}


def parse_volume(text: str, mount: str, target: JobTarget) -> Volume:
    """Return the volume of `/FOLDER`, or of `VOLUME/FOLDER`.

    Raises:
        UsageError: It is not valid, or the platform has no such volumes.
    """
    example = "/srv/rows or VOLUME/rows" if target.takes_paths else "CLAIM/rows"
    if not text.isprintable() or ".." in text.split("/"):
        raise UsageError(
            f"{text[:300]!r} is not a valid folder.", hint=f"Give one such as {example}."
        )
    if text.startswith("/"):
        if not target.takes_paths:
            raise UsageError(
                f"{text[:300]} is a folder of one machine, which the pods of a job may not have.",
                hint="Give a PersistentVolumeClaim and a folder in it, such as CLAIM/rows.",
            )
        return Volume(text, mount, mount)
    name, _, folder = text.strip("/").partition("/")
    pattern = _VOLUME if target.takes_paths else _CLAIM
    if not pattern.fullmatch(name):
        raise UsageError(
            f"{name[:300]!r} is not the name of a volume.", hint=f"Give one such as {example}."
        )
    return Volume(name, mount, f"{mount}/{folder}".rstrip("/"))


def job_numbers(report: SmokeReport, replicas: int) -> tuple[Number, Number, Number]:
    """Return the shards, the memory in MiB and the CPU in thousandths of a core.

    Raises:
        UsageError: The report contains no measurements.
    """
    load, _ = require_load(report)
    chunk = MAX_VALUES * BYTES_PER_VALUE
    mib = math.ceil((load.rest_bytes + chunk) * MARGIN / MEMORY_STEP) * MEMORY_STEP // MIB
    return (
        Number(replicas, f"{replicas} requested; each predicts every {replicas}th part"),
        Number(
            mib,
            f"({load.rest_bytes / MIB:.0f} MiB that the service of this model has at rest +"
            f" {chunk / MIB:.0f} MiB for a chunk of a million values) x {MARGIN}",
        ),
        Number(CPU_MILLICORES, "a process predicts with one core"),
    )


def render_job(platform: str, job: Job) -> dict[str, str]:
    """Return the files of a job: path -> content. The same input gives the same bytes."""
    volumes = (job.rows, job.predictions)
    context = {
        "target": platform,
        "has_token": False,
        "version": __version__,
        "final_statuses": FINAL_STATUSES,
        "retries": RETRIES,
        "job": job,
        "volumes": volumes,
        "external_volumes": sorted({each.name for each in volumes if not each.is_path}),
        "name": job.name,
        "image": job.image,
        "namespace": job.namespace,
    }
    return {
        path: render_template(f"deploy/{template}", **context)
        for path, template in JOBS[platform].files.items()
    }
