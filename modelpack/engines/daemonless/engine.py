"""Builds, stores and runs images without a daemon (`--engine oci`).

It has no containers. Docker or Podman runs an image if one of them answers, else bubblewrap does.
"""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from modelpack import files as modelpack_files
from modelpack import oci, processes
from modelpack.engines import protocol
from modelpack.engines.daemonless import apt, assemble, base_images, layer_cache
from modelpack.engines.daemonless import run as daemonless_run
from modelpack.engines.daemonless.assemble import AssembledImage
from modelpack.engines.daemonless.base_images import HOST_PLATFORM, BaseImageSource, UnpackedBase
from modelpack.engines.daemonless.copy import Context
from modelpack.engines.daemonless.plan import BuildPlan, read_plan
from modelpack.engines.daemonless.run import ImageRunner
from modelpack.engines.daemonless.stages import BuildContext
from modelpack.engines.daemonless.store import Descriptor, Store, folder
from modelpack.engines.protocol import (
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    Engine,
    OnProgress,
    OnStep,
    StepEvent,
)
from modelpack.errors import UsageError
from modelpack.oci import archive, layout
from modelpack.oci import image as oci_image
from modelpack.oci.reference import ImageReference
from modelpack.oci.registry import push as registry_push
from modelpack.oci.registry.client import connect
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, Layer, RunningService


def create_engine() -> Engine:
    """Create an engine that needs nothing but this machine."""
    state = DaemonlessState()
    return Engine(
        "oci",
        HOST_PLATFORM,
        DaemonlessBuilder(state),
        DaemonlessRunner(state),
        DaemonlessStore(state),
        foreign_images_are_read=True,
    )


class DaemonlessState:
    """The state that builder, store and runner share: images, and their runners.

    Runners that are still open are closed with it.
    """

    def __init__(self) -> None:
        self.store = Store(folder())
        self.base_images = BaseImageSource()
        self.built: dict[str, Descriptor] = {}  # by id: images that may be untagged
        self._runners: dict[str, tuple[ImageRunner, ExitStack]] = {}  # by id
        weakref.finalize(self, _close_all, self._runners)

    def add(self, descriptor: Descriptor) -> Image:
        """Remember an untagged image."""
        image = self.describe(descriptor, "")
        self.built[image.id] = descriptor
        return image

    def describe(self, descriptor: Descriptor, reference: str) -> Image:
        """Describe an image. If it is for several platforms, describe the one for this machine."""
        image = self.store.image(descriptor, HOST_PLATFORM)
        sizes = [(layer.created_by, layer.blob.size) for layer in image.layers if layer.blob]
        labels = (image.config.get("config") or {}).get("Labels") or {}
        return Image(
            reference,
            self.store.identity(descriptor),
            sum(size for _, size in sizes),
            tuple(Layer(*pair) for pair in sizes),
            labels,
        )

    def find(self, target: str) -> Descriptor:
        """Find an image by id or reference. Raise UsageError if the image does not exist."""
        if target in self.built:
            return self.built[target]
        has_digest = "sha256:" in str(ImageReference.parse(target))
        name = target if has_digest else str(ImageReference.parse_tag(target))
        descriptor = self.store.find(name)
        if descriptor is None:
            names = ", ".join(self.store.all_names())
            raise UsageError(
                f"The engine `oci` has no image {target}.",
                hint=f"Give one of these: {names}."
                if names
                else f"Run: modelpack package MODEL -t {target} --engine oci",
            )
        return descriptor

    def runner(self, target: str) -> ImageRunner:
        """Return the runner of an image, which is open until the image is removed.

        Raises:
            UsageError: The image does not exist, or is not for this machine.
            NoEngineError: Nothing on this machine can run it.
        """
        descriptor = self.find(target)
        id_ = self.store.identity(descriptor)
        if id_ not in self._runners:
            image = self.store.image(descriptor, HOST_PLATFORM)
            base_images.require_platform(image, HOST_PLATFORM, target)
            stack = ExitStack()
            open_layout = partial(_open_layout, self.store, descriptor)
            runner = stack.enter_context(daemonless_run.select_runner(image, open_layout))
            self._runners[id_] = runner, stack
        return self._runners[id_][0]

    def close_runner(self, id_: str) -> None:
        if id_ in self._runners:
            _, stack = self._runners.pop(id_)
            stack.close()


def _close_all(runners: dict[str, tuple[ImageRunner, ExitStack]]) -> None:
    for _, stack in runners.values():
        stack.close()


@contextmanager
def _open_layout(store: Store, descriptor: Descriptor, name: str = "") -> Iterator[Path]:
    """Yield a layout of one image in Docker's format, which has a HEALTHCHECK."""
    with processes.temporary_directory(".laid-", store.path) as scratch:
        store.write_layout(descriptor, name, scratch / "layout", share=True)
        layout.to_docker_media_types(scratch / "layout")
        yield scratch / "layout"


@dataclass(frozen=True)
class DaemonlessBuilder:
    """A `Builder`."""

    state: DaemonlessState

    def find_base_image(
        self,
        pythons: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        source = self.state.base_images
        return source.find(pythons, reference, platform or HOST_PLATFORM, pull=pull)

    def override_base_image(self, reference: str, python: str, platform: str) -> None:
        self.find_base_image((python,), reference, platform=platform)

    def needs_wheels(self, bundle: Bundle) -> bool:
        plan = read_plan(bundle)
        with self._open_base(bundle, plan) as base:
            return assemble.needs_wheels(plan, BuildContext(Context(bundle.directory), base, None))

    def download_debian_packages(
        self, packages: DebianPackages, directory: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        base = packages.base
        name = f"{base.reference}@{base.digest}" if base.digest else base.reference
        for stage, names in packages.stages.items():
            with self.state.base_images.open(name, packages.platform, base.python) as image:
                apt.fetch(image, names, directory / stage, index)
            for path in sorted((directory / stage).iterdir()):
                on_step(StepEvent(path.name, "done"))

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image:
        plan = read_plan(bundle)
        wheels = Path(index.wheelhouse) if index.wheelhouse else None
        with self._open_base(bundle, plan) as base, processes.temporary_directory() as scratch:
            tools = BuildContext(Context(bundle.directory), base, wheels)
            image = assemble.assemble(plan, tools, scratch, on_step)
        return self.state.add(self.state.store.add(image))

    def _open_base(self, bundle: Bundle, plan: BuildPlan) -> AbstractContextManager[UnpackedBase]:
        locked = bundle.environment
        return self.state.base_images.open(plan.base, locked.platform, locked.python)


@dataclass(frozen=True)
class DaemonlessStore:
    """An `IndexStore`."""

    state: DaemonlessState

    def tag(self, image: Image, reference: str) -> Image:
        name = str(ImageReference.parse_tag(reference))
        descriptor = self.state.find(image.id)
        self.state.store.name(descriptor, name)
        self.state.store.collect()
        return self.state.describe(descriptor, name)

    def push(self, reference: str, on_progress: OnProgress) -> str:
        descriptor = self.state.find(reference)
        with _open_layout(self.state.store, descriptor) as path, connect(reference) as repository:
            index = oci_image.parse_json((path / "index.json").read_bytes())
            (pointer,) = oci_image.descriptors(index, "manifests")
            store = layout.LayoutStore(path)
            return registry_push.push(store, pointer, repository, on_progress).digest

    def remove_untagged(self, image: Image) -> None:
        """Close the runner of an image. Remove the image if it has no tag."""
        self.state.close_runner(image.id)
        descriptor = self.state.built.pop(image.id, None)
        if descriptor and not self.state.store.names(descriptor):
            self.state.store.collect()

    def find(self, target: str) -> Image:
        return self.state.describe(self.state.find(target), target)

    def read_manifest(self, target: str) -> dict[str, Any]:
        with self.open_image(target) as image:
            return protocol.read_manifest(target, image)

    @contextmanager
    def open_image(self, target: str) -> Iterator[oci.Image]:
        """Open an image; if it is for several platforms, the one for this machine."""
        yield self.state.store.image(self.state.find(target), HOST_PLATFORM)

    @contextmanager
    def pull_temporarily(self, reference: str) -> Iterator[str]:
        name, store = ImageReference.parse(reference), self.state.store
        if not name.digest and store.find(str(ImageReference.parse_tag(reference))):
            yield reference
            return
        with oci.open_image(reference, HOST_PLATFORM) as image:
            layers = tuple(map(layer_cache.from_base_layer, image.layers))
        pulled = self.state.add(store.add(AssembledImage(image.config, layers)))
        try:
            yield pulled.id
        finally:
            self.remove_untagged(pulled)

    def create_index(self, images: Sequence[Image]) -> Image:
        descriptors = [self.state.built[image.id] for image in images]
        return self.state.add(self.state.store.add_index(descriptors))

    def export(self, reference: str, path: Path) -> None:
        """Write an image to a new file or directory.

        A `path` ending in .tar becomes an archive for Docker, Podman and skopeo, any other one a
        directory with an OCI layout.

        Raises:
            UsageError: The image does not exist, or the path does.
        """
        descriptor = self.state.find(reference)
        name = str(ImageReference.parse_tag(reference))
        if path.exists():
            raise UsageError(f"{path} already exists.", hint="Choose another path, or remove it.")
        if path.suffix != ".tar":
            with modelpack_files.atomic_directory(path) as directory:
                self.state.store.write_layout(descriptor, name, directory, share=False)
            return
        with _open_layout(self.state.store, descriptor, name) as directory:
            archive.write(path, directory)


@dataclass(frozen=True)
class DaemonlessRunner:
    """A `Runner`."""

    state: DaemonlessState

    def require_platform(self, platform: str) -> None:
        """Accept every platform: images for another one are checked without running.

        Raises:
            NoEngineError: Nothing on this machine can run images for it.
        """
        if platform == HOST_PLATFORM:
            daemonless_run.require_runner()

    @contextmanager
    def query_model(
        self, target: str, request: bytes, more_seconds: float = 0.0
    ) -> Iterator[AnswerFuture]:
        with self.state.runner(target).query_model(request, more_seconds) as answer:
            yield answer

    def predict(self, target: str, arguments: Sequence[str], streams: BatchStreams) -> int:
        return self.state.runner(target).predict(arguments, streams)

    @contextmanager
    def run(self, target: str) -> Iterator[RunningService]:
        with self.state.runner(target).run() as service:
            yield service
