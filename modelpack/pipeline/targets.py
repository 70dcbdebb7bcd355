"""TARGET arguments: what they refer to, and opening that."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path

from modelpack import engines, oci
from modelpack.addresses import is_known_address
from modelpack.bundle import manifest
from modelpack.errors import UsageError
from modelpack.oci.locations import is_location
from modelpack.oci.reference import ImageReference
from modelpack.types import ModelSpec

from .package import bundle_directory
from .sources import is_model
from .stages import Pipeline


class TargetKind(str, Enum):
    """The kinds of TARGET arguments. The values are the `kind` of `diff --json`."""

    MODEL = "model file"
    BUNDLE = "bundle"
    LAYOUT = "layout"
    ARCHIVE = "archive"
    IMAGE = "image"
    REGISTRY = "registry"


@dataclass(frozen=True)
class Target:
    """A classified TARGET argument. Nothing has been opened yet.

    Attributes:
        text: The argument as typed.
        kind: What it refers to. An image is one of an engine.
        path: Of a model, of a bundle, or of a file that only has the name of the image. That of an
            address does not exist.
        location: As `oci.open_image` takes it, of a layout, an archive or a registry.
        sha256: Digest of the file at an address of the web.
    """

    text: str
    kind: TargetKind
    path: Path | None = None
    location: str | None = None
    sha256: str | None = None

    @property
    def reference(self) -> ImageReference:
        return ImageReference.parse(self.text)


@dataclass(frozen=True)
class Accepts:
    """The kinds that one command accepts.

    Attributes:
        kinds: Besides images, which every command accepts.
        bare_paths: Whether a layout or an archive may come without "oci:" or "docker-archive:".
    """

    kinds: frozenset[TargetKind]
    bare_paths: bool = False


_LOCATIONS = {TargetKind.LAYOUT, TargetKind.ARCHIVE}
SMOKE = DEPLOY = Accepts(frozenset({TargetKind.BUNDLE}))
PREDICT = Accepts(frozenset({TargetKind.MODEL, TargetKind.BUNDLE}))
SCAN = VERIFY = Accepts(frozenset(_LOCATIONS))
DIFF = Accepts(frozenset(TargetKind), bare_paths=True)


def classify(text: str, accepts: Accepts) -> Target:
    """Decide what `text` refers to, looking at the file system only.

    Returns:
        An image for every name: only an engine knows whether it has that, or a registry does.

    Raises:
        UsageError: It is neither a path that the command accepts, nor a valid image reference.
    """
    path = Path(text)
    if accepts.kinds >= _LOCATIONS and is_location(text):
        kind = TargetKind.LAYOUT if text.startswith("oci:") else TargetKind.ARCHIVE
        return Target(text, kind, location=text)
    if accepts.bare_paths and (path / "oci-layout").exists():
        return Target(text, TargetKind.LAYOUT, location=f"oci:{text}")
    if accepts.bare_paths and path.is_file() and tarfile.is_tarfile(path):
        return Target(text, TargetKind.ARCHIVE, location=f"docker-archive:{text}")
    if TargetKind.MODEL in accepts.kinds and (is_known_address(text) or is_model(path)):
        return Target(text, TargetKind.MODEL, path)
    if TargetKind.BUNDLE in accepts.kinds and path.is_dir():
        return Target(text, TargetKind.BUNDLE, path)
    if path.is_file() and path.suffix:
        raise _not_an_image(text, accepts)
    return _classify_name(text, accepts)


def _not_an_image(text: str, accepts: Accepts) -> UsageError:
    """Return the error for a file, such as a model, in place of an image or a bundle."""
    kind = "neither an image nor a bundle" if TargetKind.BUNDLE in accepts.kinds else "not an image"
    hint = f"For a model, run: modelpack package {shlex.quote(text)} -t NAME, and give NAME."
    if accepts.kinds >= _LOCATIONS:
        hint += f" For the archive of an image, give: docker-archive:{shlex.quote(text)}"
    return UsageError(f"{text[:300]!r} is a file, {kind}.", hint=hint)


def _classify_name(text: str, accepts: Accepts) -> Target:
    if TargetKind.BUNDLE not in accepts.kinds:
        ImageReference.parse(text)
        return Target(text, TargetKind.IMAGE)
    if Path(text).exists():
        return Target(text, TargetKind.IMAGE, Path(text))
    with suppress(UsageError):
        ImageReference.parse(text)
        return Target(text, TargetKind.IMAGE)
    raise UsageError(
        f"{text[:300]!r} is neither an existing path nor a valid image reference.",
        hint="Check the path.",
    )


def as_registry(target: Target) -> Target:
    """Return an image as one of the registry that its name contains, or of Docker Hub."""
    return replace(target, kind=TargetKind.REGISTRY, location=target.text)


def default_engine(target: Target, requested: str) -> str:
    """Resolve `--engine auto`: `process` for paths, else the first engine with images."""
    if requested != "auto":
        return requested
    return "process" if target.path else engines.IMAGE_ENGINES


def open_image(pipeline: Pipeline, target: Target) -> AbstractContextManager[oci.Image]:
    """Open an image, a layout, an archive or a registry image without running it.

    Raises:
        UsageError: There is no such image, or it is damaged.
        NoEngineError: It is an image of an engine, and none responds.
    """
    if target.location:
        return oci.open_image(target.location, pipeline.options.platform)
    images = pipeline.engine.require_images(f"{target.text} cannot be read")
    return images.open_image(target.text)


@dataclass(frozen=True)
class Runnable:
    """A target that an engine can run.

    Attributes:
        name: As `Engine.run` takes it: an image, or a bundle whose environment exists.
        read_model: Reads its model. It raises UsageError for one of another version of modelpack.
    """

    name: str
    read_model: Callable[[], ModelSpec]


@contextmanager
def open_runnable(pipeline: Pipeline, target: Target) -> Iterator[Runnable]:
    """Prepare a model, a bundle or an image to be run.

    Raises:
        UsageError: It is not a bundle, or not an image of modelpack.
        NoEngineError: It is an image, and no container engine responds.
        ModelpackError: As `package`.
    """
    if target.kind is TargetKind.IMAGE:
        images = pipeline.engine.images
        if images is None:
            raise UsageError(
                f"{target.text!r} is not a bundle, and the engine `process` runs bundles only.",
                hint="Give the folder of a bundle, or choose another --engine.",
            )
        document = images.read_manifest(target.text)
        yield Runnable(target.text, partial(manifest.model_of, document))
        return
    assert target.path is not None  # noqa: S101 - as `classify` sets it
    with ExitStack() as stack:
        if target.kind is TargetKind.BUNDLE:
            bundle = manifest.read(target.path)
        else:
            paths = stack.enter_context(pipeline.open_models([target.text]))
            model, code = pipeline.inspect(paths)
            model, _ = pipeline.reference(model, paths)
            bundle = pipeline.render(model, code, stack.enter_context(bundle_directory(None)))
        name = stack.enter_context(pipeline.temporary_image(bundle))
        yield Runnable(name, lambda: bundle.model)
