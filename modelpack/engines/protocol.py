"""The `Builder`, `ImageStore` and `Runner` protocols, and the `Engine` that combines them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol, runtime_checkable

from modelpack import oci
from modelpack.engines.build_cache import BuildCache
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci import filesystem
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, RunningService

MANIFEST = "app/modelpack.json"

StepState = Literal["started", "done", "cached", "failed"]

PLATFORM_HINT = (
    "Build it without running it, and test it on such a machine: modelpack package MODEL"
    " --platform {0} --no-smoke, then modelpack smoke IMAGE there"
)
"""What to do for a platform that the engine does not run."""


@dataclass(frozen=True)
class StepEvent:
    """A change in the state of a build step, which ran for `seconds`; 0.0 if it just started."""

    name: str
    state: StepState
    seconds: float = 0.0


@dataclass(frozen=True)
class DebianPackages:
    """Debian packages to install on a base image, by stage of the Dockerfile."""

    base: BaseImage
    platform: str
    stages: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class BatchStreams:
    """Files with descriptors for `predict`. `on_line` is called with each line of its stderr."""

    rows: IO[bytes]
    answers: IO[bytes]
    on_line: Callable[[str], None]


OnStep = Callable[[StepEvent], None]
AnswerFuture = Callable[[], bytes]
OnProgress = Callable[[str, int, int], None]
"""Is called with the name of a layer, the bytes pushed, and its size. The first call for a layer
has 0 bytes pushed, or all of them if the registry has the layer already.
"""


class Builder(Protocol):
    """Builds images or local environments from bundles."""

    def find_base_image(
        self,
        pythons: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        """Find a base image for the first possible Python version.

        Args:
            pythons: Python versions, preferred first: "3.11".
            reference: Base image that the user requested.
            platform: Platform of the image (default: the platform of the engine). For a platform
                that the engine does not run, the base image need not be available locally.
            pull: Whether the image may be pulled.

        Raises:
            UsageError: The requested image has none of the versions, or no Python.
            NoEngineError: No base image is available.
        """

    def needs_wheels(self, bundle: Bundle) -> bool:
        """Return whether `build` needs a wheelhouse because it cannot query an index.

        Raises:
            BuildFailedError: The bundle cannot be built.
        """

    def download_debian_packages(
        self, packages: DebianPackages, directory: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        """Replace `directory` by one with the files STAGE/*.deb.

        Raises:
            BuildFailedError: A package cannot be downloaded.
            NoEngineError: The engine cannot build for the platform.
        """

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image | None:
        """Build an untagged image. Return None if only a local environment was created.

        Raises:
            BuildFailedError: A step failed; the message contains the end of its output.
        """


@runtime_checkable
class OverridableBase(Protocol):
    """A builder that can replace the base image of an existing bundle."""

    def override_base_image(self, reference: str, python: str, platform: str) -> None:
        """Use the image at `reference` instead of the one that a Dockerfile names.

        Raises:
            UsageError: The image has another Python version or platform.
            NoEngineError: The image is not available.
        """


@runtime_checkable
class CachingBuilder(Protocol):
    """A builder that imports and exports a build cache."""

    def use_cache(self, cache: BuildCache) -> None:
        """Import and export this cache in all following builds.

        Raises:
            UsageError: A value is invalid.
            NoEngineError: The engine does not support a type of cache.
        """


class ImageStore(Protocol):
    """Stores images: tagged, read, pushed, removed."""

    def tag(self, image: Image, reference: str) -> Image:
        """Tag an image. Another image may lose the tag.

        Raises:
            UsageError: No image can have this reference.
        """

    def push(self, reference: str, on_progress: OnProgress) -> str:
        """Push an image with the credentials of `docker login`. Return the digest of its manifest.

        Raises:
            UsageError: The image does not exist, or the registry cannot be reached or denies
                access.
            BuildFailedError: The registry fails or rejects the image.
        """

    def remove_untagged(self, image: Image) -> None:
        """Remove an image that has no tag."""

    def find(self, target: str) -> Image:
        """Find an image by its reference or id.

        Raises:
            UsageError: The image does not exist.
        """

    def read_manifest(self, target: str) -> dict[str, Any]:
        """Read modelpack.json of an image without running it.

        Raises:
            UsageError: The image does not exist, or modelpack did not create it.
        """

    def open_image(self, target: str) -> AbstractContextManager[oci.Image]:
        """Open an image without running it. Its layers are readable within the context.

        Raises:
            UsageError: The image does not exist.
        """

    def pull_temporarily(self, reference: str) -> AbstractContextManager[str]:
        """Yield the name of a registry's image. If it was pulled for this, it is removed again.

        Raises:
            UsageError: The image cannot be pulled.
        """


@runtime_checkable
class IndexStore(ImageStore, Protocol):
    """An image store that can store one image for several platforms."""

    def create_index(self, images: Sequence[Image]) -> Image:
        """Combine images for several platforms into an untagged one."""


class Runner(Protocol):
    """Runs images, or bundles where no images exist.

    A target is the reference or the id of an image, or the directory of a bundle.
    """

    def require_platform(self, platform: str) -> None:
        """Require that images for a platform can be tested.

        Raises:
            NoEngineError: The engine runs no images for the platform.
        """

    def query_model(
        self, target: str, request: bytes, more_seconds: float = 0.0
    ) -> AbstractContextManager[AnswerFuture]:
        """Run `python -m modelpack.serving.reference` in a sandbox of `target`.

        The sandbox has no network and no writable path, and ends with the context.

        Yields:
            A function that waits for the response. It raises SmokeFailedError if no response
            comes within two minutes and `more_seconds`; its message is part of a sentence.

        Raises:
            SmokeFailedError: The process could not be started.
        """

    def predict(self, target: str, arguments: Sequence[str], streams: BatchStreams) -> int:
        """Run `predict` in the same sandbox, without a time limit, and return its exit code.

        Raises:
            UsageError: The target does not exist.
        """

    def run(self, target: str) -> AbstractContextManager[RunningService]:
        """Run the service of `target`.

        Raises:
            UsageError: The target does not exist.
            SmokeFailedError: The service ended at once; the message contains its last lines.
        """


@dataclass(frozen=True)
class Engine:
    """A builder, an image store and a runner that belong together.

    Attributes:
        name: The value of `--engine`.
        platform: The platform of this machine: "linux/amd64".
        images: None if the engine builds no images.
        foreign_images_are_read: Whether images for another platform are checked without running.
    """

    name: str
    platform: str
    builder: Builder
    runner: Runner
    images: ImageStore | None = None
    foreign_images_are_read: bool = False

    def require_images(self, failure: str, alternative: str = "use --engine oci") -> ImageStore:
        """Return the image store.

        Args:
            failure: What cannot be done without images: "iris:1 cannot be pushed".
            alternative: What the user can do instead, for the hint.

        Raises:
            NoEngineError: The engine builds no images.
        """
        if self.images is None:
            raise NoEngineError(
                f"{failure}: the engine `{self.name}` has no images.",
                hint=f"Start Docker or Podman and leave out --engine, or {alternative}.",
            )
        return self.images


def read_manifest(name: str, image: oci.Image) -> dict[str, Any]:
    """Read modelpack.json of an open image. Raise UsageError if modelpack did not create it."""
    try:
        document: dict[str, Any] = json.loads(filesystem.read(image, MANIFEST))
    except (UsageError, ValueError) as error:
        raise manifest_error(name) from error
    return document


def manifest_error(target: str) -> UsageError:
    """Return the error for an image that modelpack did not create."""
    return UsageError(
        f"{target!r} was not created by modelpack: it has no readable /app/modelpack.json.",
        hint="Run: modelpack package MODEL -t NAME",
    )
