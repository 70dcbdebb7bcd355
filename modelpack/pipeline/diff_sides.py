"""The sides of a diff: what is known of each, and how its model is queried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelpack import dockerfile, engines, oci
from modelpack.bundle import manifest as bundle_manifest
from modelpack.comparison import Base, Side
from modelpack.comparison import image as diff_image
from modelpack.engines import Engine
from modelpack.engines.protocol import read_manifest
from modelpack.errors import NoEngineError, UsageError
from modelpack.inspection import inspect
from modelpack.types import Bundle

from . import targets
from .inspect import inspect_with_code
from .sources import open_models
from .stages import Pipeline
from .targets import Target, TargetKind

_NOT_QUERIED = {
    TargetKind.MODEL: "a model file is not executed; package it first",
    TargetKind.LAYOUT: "an image in a folder must be loaded into an engine to be queried",
    TargetKind.ARCHIVE: "an image in an archive must be loaded into an engine to be queried",
    TargetKind.REGISTRY: "an image in a registry must be pulled by an engine to be queried",
}
_LABEL = "org.opencontainers.image.base."


@dataclass(frozen=True)
class DiffSide:
    """One side of a diff while it is open.

    Attributes:
        engine: The engine that queries its model, or None if nothing here can.
        name: As `engine` takes it.
        not_queried: Why nothing here can query its model.
        image: An image, whose layers can be read.
        file: A model file; its record is next to it.
        bundle: A bundle, whose environment must be built before the query.
    """

    side: Side
    engine: Engine | None = None
    name: str = ""
    not_queried: str = ""
    image: oci.Image | None = None
    file: Path | None = None
    bundle: Bundle | None = None


def open_side(pipeline: Pipeline, target: Target) -> AbstractContextManager[DiffSide]:
    """Open one side of a diff: its facts, and how it is queried.

    Raises:
        UsageError: There is no such thing, or modelpack did not make it.
        NoEngineError: It is an image, and no container engine responds.
        ModelRefusedError, ModelNotSupportedError: No image can be made of the file.
    """
    if target.location:
        return _open_location(pipeline, target)
    if target.kind is TargetKind.IMAGE:
        return _open_image(pipeline, target)
    return (_open_bundle if target.kind is TargetKind.BUNDLE else _open_model)(pipeline, target)


@contextmanager
def _open_model(pipeline: Pipeline, target: Target) -> Iterator[DiffSide]:
    options = replace(pipeline.options, sha256=tuple(filter(None, [target.sha256])))
    with open_models([target.text], options, pipeline.observer, pipeline.seconds) as models:
        found = replace(inspect(str(models.paths[0])), fetched_from=models.origins)
        model, _, problem = inspect_with_code(found, pipeline.options)
        if problem and model.safety.verdict != "trust":
            raise problem
        name = models.origins[0].address if models.origins else target.text
        side = Side(name, target.kind.value, models.describe(model))
        yield DiffSide(side, not_queried=_NOT_QUERIED[target.kind], file=models.paths[0])


@contextmanager
def _open_bundle(_: Pipeline, target: Target) -> Iterator[DiffSide]:
    bundle = bundle_manifest.read(target.text)
    base = _base(bundle)
    side = Side(target.text, target.kind.value, bundle.model, bundle.environment, base, bundle.code)
    yield DiffSide(side, engines.select_engine("process"), bundle.path, bundle=bundle)


def _base(bundle: Bundle) -> Base:
    """Return the image that the Dockerfile, which the user may edit, is built on."""
    name, _, digest = dockerfile.base_image(bundle.directory / "Dockerfile").partition("@")
    return Base(name, digest)


@contextmanager
def _open_image(pipeline: Pipeline, target: Target) -> Iterator[DiffSide]:
    """Open an image of the engine, else of the registry in its name."""
    with ExitStack() as stack:
        try:
            engine = _select_engine(pipeline)
            images = engine.require_images(f"{target.text} cannot be compared")
            image = stack.enter_context(images.open_image(target.text))
        except (UsageError, NoEngineError):
            if not target.reference.has_registry:
                raise
            location = _open_location(pipeline, targets.as_registry(target))
            yield stack.enter_context(location)
            return
        side = _side(target, images.read_manifest(target.text), image)
        yield DiffSide(side, engine, target.text, image=image)


def _select_engine(pipeline: Pipeline) -> Engine:
    requested = pipeline.options.engine
    with_images = requested in {"auto", "process"}
    return engines.select_engine(engines.IMAGE_ENGINES if with_images else requested)


@contextmanager
def _open_location(pipeline: Pipeline, target: Target) -> Iterator[DiffSide]:
    with targets.open_image(pipeline, target) as image:
        side = _side(target, read_manifest(target.text, image), image)
        yield DiffSide(side, not_queried=_NOT_QUERIED[target.kind], image=image)


def _side(target: Target, manifest: dict[str, Any], image: oci.Image) -> Side:
    model, environment, code = bundle_manifest.facts_of(manifest)
    labels = (image.config.get("config") or {}).get("Labels") or {}
    base = Base(*(str(labels.get(f"{_LABEL}{part}", "")) for part in ("name", "digest")))
    facts = diff_image.describe_image(image)
    return Side(target.text, target.kind.value, model, environment, base, code, facts)
