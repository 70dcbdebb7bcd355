"""The image that `deploy` deploys, and its measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.bundle import manifest
from modelpack.deployment import ImageFacts
from modelpack.deployment.jobs import JobTarget
from modelpack.deployment.plan import require_load
from modelpack.deployment.targets import Target as Platform
from modelpack.errors import ModelpackError, UsageError
from modelpack.oci import image as oci_image
from modelpack.oci.reference import ImageReference
from modelpack.types import Image, SmokeReport, from_json

from . import measurements
from .build import build_untagged
from .smoke import require_passed, smoke_target
from .stages import Pipeline
from .targets import Target, TargetKind

_MAX_LABEL = 256


@dataclass(frozen=True)
class Measured:
    """An image that can be deployed, its name for the engine, and its measurements."""

    name: str
    image: ImageFacts
    report: SmokeReport


def measure(
    run: Pipeline,
    target: Target,
    platform: Platform | JobTarget,
    recorded: Mapping[str, Any],
    report: Path | None = None,
) -> Measured:
    """Return an image with its measurements. Build a bundle; run a smoke test if none is known.

    Args:
        run: The pipeline.
        target: An image or a bundle.
        platform: Where it will run.
        recorded: What a folder of a deployment has recorded of its image.
        report: Smoke report with the measurements.

    Raises:
        UsageError: There is no such image, or the platform needs a registry that has it.
        SmokeFailedError: The image was not measured before, and fails its smoke test.
    """
    with _open_image(run, target) as (image, name, reference):
        if reference is None and platform.needs_registry:
            raise _not_pushed(name)
        found = _find_report(run, image, name, report, recorded)
    return Measured(name, _facts(image, reference), found)


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
    run: Pipeline, image: Image, name: str, path: Path | None, recorded: Mapping[str, Any]
) -> SmokeReport:
    """Return the report with the measurements of an image. Run its smoke test if none exists."""
    if path:
        report = measurements.read(path)
        require_load(report)
        return report
    report_here = _recorded_report(recorded, image.id) or measurements.load(image.id)
    if report_here:
        return report_here
    run.observer.notice(f"{name} was not measured on this machine: its smoke test is run.")
    report = smoke_target(run, Target(name, TargetKind.IMAGE))
    if report.status != "untested":
        require_passed(report)
    require_load(report)
    measurements.store(image.id, report)
    return report


def _recorded_report(record: Mapping[str, Any], image_id: str) -> SmokeReport | None:
    """Return the report that the files in the folder were computed from, so that they stay."""
    try:
        if record["image"]["id"] != image_id:
            return None
        return from_json(SmokeReport, record["report"])
    except (KeyError, TypeError, ValueError):
        return None
