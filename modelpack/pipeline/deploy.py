"""`deploy`: the files of a deployment, computed from the measurements of an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from modelpack import deployment
from modelpack.bundle import manifest
from modelpack.deployment import TARGETS, Demand, Deployment, Folder, ImageFacts, Plan, WriteResult
from modelpack.deployment.plan import require_load
from modelpack.errors import ModelpackError, UsageError
from modelpack.oci import image as oci_image
from modelpack.oci.reference import ImageReference
from modelpack.types import Image, SmokeReport, from_json, to_json

from . import measurements
from .build import build_untagged
from .smoke import require_passed, smoke_target
from .stages import Pipeline
from .targets import Target, TargetKind

MAX_NAME = 40
"""KServe and Knative append to a name that may have 63 characters."""
_NAME = re.compile(rf"[a-z](?:[a-z0-9-]{{0,{MAX_NAME - 2}}}[a-z0-9])?")
_MAX_LABEL = 256


@dataclass(frozen=True)
class DeployRequest:
    """What to deploy where.

    Attributes:
        platform: A key of `TARGETS`.
        replicas: The least number of replicas; None for that of the target.
        report: Smoke report with the measurements.
        force: Replace edited files.
    """

    platform: str
    output: Path
    name: str | None = None
    namespace: str | None = None
    rate: float = 100.0
    replicas: int | None = None
    report: Path | None = None
    token: bool = True
    port: int = 8080
    publish: str = "ingress"
    mode: str = "standard"
    canary: int = 10
    force: bool = False


@dataclass(frozen=True)
class DeployResult:
    """The written files of a deployment."""

    request: DeployRequest
    deployment: Deployment
    changes: WriteResult

    @property
    def plan(self) -> Plan:
        return self.deployment.plan

    @property
    def command(self) -> str:
        """The command that deploys the files."""
        command = TARGETS[self.request.platform].command
        words = {"DIR": str(self.request.output), "NAME": self.deployment.name}
        return re.sub(r"\b(DIR|NAME)\b", lambda match: words[match[0]], command)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack deploy --json`."""
        return {
            "to": self.request.platform,
            "name": self.deployment.name,
            "image": self.deployment.image.reference,
            "output": str(self.request.output),
            "command": self.command,
            **{name: list(paths) for name, paths in vars(self.changes).items()},
            "plan": {name: vars(number) for name, number in self.plan.numbers()},
        }


def deploy(run: Pipeline, target: Target, request: DeployRequest) -> DeployResult:
    """Write the files that deploy an image or a bundle.

    Raises:
        UsageError: There is no such image, or the platform needs a registry that has it; a file was
            edited; a name is not valid.
        SmokeFailedError: The image was not measured before, and fails its smoke test.
    """
    folder = Folder(request.output)
    platform = TARGETS[request.platform]
    with _open_image(run, target) as (image, name, reference):
        if reference is None and platform.needs_registry:
            raise _not_pushed(name)
        report = _find_report(run, image, name, request, folder)
    service = require_name(request.name) if request.name else default_name(name)
    with run.stage("deploy") as summary:
        demand = Demand(request.rate, request.replicas or platform.replicas)
        if request.platform == "compose" or request.publish == "host":
            demand = replace(demand, replicas=request.replicas or 1)
        result = Deployment(
            name=service,
            image=_facts(image, reference),
            plan=deployment.create_plan(report, demand),
            namespace=require_name(request.namespace or service),
            creates_namespace=request.namespace is None,
            has_token=request.token,
            port=request.port,
            publish=request.publish,
            mode=request.mode,
            canary=request.canary,
        )
        changes = _write(folder, request, result, report)
        summary.append(_summary(result.plan))
    _notice(run, request, result, changes)
    return DeployResult(request, result, changes)


def _write(
    folder: Folder, request: DeployRequest, result: Deployment, report: SmokeReport
) -> WriteResult:
    platform = TARGETS[request.platform]
    record = {
        "to": request.platform,
        "name": result.name,
        "namespace": result.namespace,
        "replicas": result.plan.replicas.value,
        "start_seconds": result.plan.start_seconds.value,
        "image": {"reference": result.image.reference, "id": result.image.id},
        # Without checks, whose details contain rows.
        "report": to_json(replace(report, checks=(), parity=None, rulings=())),
    }
    files = deployment.render(request.platform, result)
    changes = folder.write(files, record, editable=platform.editable, force=request.force)
    if result.has_token and folder.write_secret(platform.token_file, token_hex(32)):
        changes = replace(changes, written=(*changes.written, platform.token_file))
    return changes


def _summary(plan: Plan) -> str:
    workers = plan.workers.value
    return (
        f"{plan.replicas.value} x {workers} worker{'' if workers == 1 else 's'},"
        f" {plan.memory_mib.value} MiB, {plan.cpu_request.value / 1000:g} cores requested"
    )


def _notice(
    run: Pipeline, request: DeployRequest, result: Deployment, changes: WriteResult
) -> None:
    platform, notice = TARGETS[request.platform], run.observer.notice
    if not result.image.is_pullable:
        notice(
            "No registry has this image, so the files work on this machine only. For others, run:"
            " modelpack push IMAGE --as REGISTRY/IMAGE, and deploy that name."
        )
    if platform.token_file in changes.written:
        notice(f"Clients need the token in {request.output / platform.token_file}.")
    for path in changes.kept:
        notice(f"{path} was edited, and is kept as it is.")
    for path in changes.replaced:
        notice(f"{path} was edited, and is replaced (--force).")


# --- the image -----------------------------------------------------------------------------------


@contextmanager
def _open_image(run: Pipeline, target: Target) -> Iterator[tuple[Image, str, str | None]]:
    """Yield an image, its name for the engine, and its reference by digest in a registry."""
    images = run.engine.require_images(f"{target.text} cannot be deployed")
    if target.kind is TargetKind.BUNDLE:
        image = _build(run, target)
        yield image, image.reference, None
        return
    try:
        image = images.find(target.text)
    except UsageError:
        if not target.reference.has_registry:
            raise
        reference = _by_digest(target.reference)
        with images.pull_temporarily(reference) as name:
            yield images.find(name), name, reference
        return
    yield image, target.text, _pushed_reference(target.reference, image)


def _build(run: Pipeline, target: Target) -> Image:
    """Build and test a bundle, and tag its image."""
    assert target.path is not None  # noqa: S101 - as `classify` sets it
    bundle = manifest.read(target.path)
    images = run.engine.require_images(f"{target.text} cannot be built")
    image, reference = build_untagged(run, bundle)
    try:
        report = run.smoke(image.id, *run.reference(bundle.model))
        require_passed(report, allow_untested=run.options.allow_untested)
        measurements.store(image.id, report)
        return images.tag(image, reference)
    finally:
        run.remove_untagged(image)


def _pushed_reference(name: ImageReference, image: Image) -> str | None:
    """Return the reference of an image by digest, if a registry has it."""
    if name.digest:
        return str(name.with_digest(name.digest))
    parsed = [ImageReference.parse(text) for text in image.digests]
    same = [each for each in parsed if each.with_digest("").canonical == _repository(name)]
    if parsed:
        return str((same or parsed)[0])
    if not name.has_registry:
        return None
    try:
        return _by_digest(name, image.id)
    except ModelpackError:  # the registry does not answer, or has another image of this name
        return None


def _repository(name: ImageReference) -> str:
    """Return the registry and the repository of a reference, in full."""
    return name.with_digest("").canonical


def _by_digest(name: ImageReference, image_id: str | None = None) -> str:
    """Ask the registry for the digest of an image.

    Raises:
        UsageError: The registry does not have it, or an image with another id.
        BuildFailedError: The registry fails.
    """
    from modelpack.oci.registry import client  # noqa: PLC0415 - brings requests, 60 ms

    with client.connect(str(name)) as repository:
        top, data = repository.manifest()
        if image_id is not None:
            document = oci_image.parse_json(data)
            documents = [document]
            for entry in document.get("manifests") or ():
                _, content = repository.manifest(oci_image.descriptor_of(entry).digest)
                documents.append(oci_image.parse_json(content))
            configs = {(each.get("config") or {}).get("digest") for each in documents}
            if image_id not in configs | {top.digest}:
                raise UsageError(
                    f"{name} is another image in its registry.", hint=f"modelpack push {name}"
                )
    return str(name.with_digest(top.digest))


def _not_pushed(name: str) -> UsageError:
    reference = ImageReference.parse(name)
    pushed = name if reference.has_registry else f"{name} --as REGISTRY/{name}"
    return UsageError(
        f"No registry has the image {name}, so that a cluster could not pull it.",
        hint=f"Run: modelpack push {pushed}, and deploy that name.",
    )


def _facts(image: Image, reference: str | None) -> ImageFacts:
    """Return the facts of an image. Its labels may be hostile text."""

    def label(name: str) -> str:
        return str(image.labels.get(f"dev.modelpack.{name}", ""))[:_MAX_LABEL]

    return ImageFacts(
        reference or image.id,
        image.id,
        reference is not None,
        estimator=label("estimator"),
        framework=label("framework"),
        model_sha256=label("model.sha256"),
        parity=label("parity"),
    )


# --- measurements --------------------------------------------------------------------------------


def _find_report(
    run: Pipeline, image: Image, name: str, request: DeployRequest, folder: Folder
) -> SmokeReport:
    """Return the report with the measurements of an image. Run its smoke test if none exists."""
    if request.report:
        report = measurements.read(request.report)
        require_load(report)
        return report
    report_here = _recorded_report(folder, image.id) or measurements.load(image.id)
    if report_here:
        return report_here
    run.observer.notice("This image was not measured on this machine: its smoke test is run.")
    report = smoke_target(run, Target(name, TargetKind.IMAGE))
    if report.status != "untested":
        require_passed(report)
    require_load(report)
    measurements.store(image.id, report)
    return report


def _recorded_report(folder: Folder, image_id: str) -> SmokeReport | None:
    """Return the report that the files in the folder were computed from, so that they stay."""
    try:
        if folder.record["image"]["id"] != image_id:
            return None
        return from_json(SmokeReport, folder.record["report"])
    except (KeyError, TypeError, ValueError):
        return None


# --- names ---------------------------------------------------------------------------------------


def default_name(reference: str) -> str:
    """Return the name of a service from the repository of an image."""
    last = ImageReference.parse(reference).repository.rpartition("/")[2]
    text = re.sub("[^a-z0-9]+", "-", last)
    text = text if text[:1].isalpha() else f"model-{text}"
    return text[:MAX_NAME].strip("-")


def require_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text[:300]!r} is not a valid name: it needs small letters, digits and hyphens, a"
            f" letter at the start, and at most {MAX_NAME} characters.",
            hint="Give one such as: --name iris",
        )
    return text
