"""`DaemonlessEngine`: images without a daemon (`--engine oci`).

It runs nothing in containers of its own. An image is tried in Docker or Podman where one answers,
else behind walls of bubblewrap.
"""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from modelpack import files as modelpack_files
from modelpack import oci, processes
from modelpack.engines.daemonless import apt, assemble, base_images, layer_cache
from modelpack.engines.daemonless import run as daemonless_run
from modelpack.engines.daemonless.assemble import AssembledImage
from modelpack.engines.daemonless.base_images import HOST_PLATFORM, BaseImageSource, UnpackedBase
from modelpack.engines.daemonless.copy import Context
from modelpack.engines.daemonless.plan import BuildPlan, read_plan
from modelpack.engines.daemonless.stages import BuildContext
from modelpack.engines.daemonless.store import Descriptor, Store, folder
from modelpack.engines.protocol import (
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    OnProgress,
    OnStep,
    StepEvent,
)
from modelpack.errors import UsageError
from modelpack.oci import archive, filesystem, layout
from modelpack.oci import image as oci_image
from modelpack.oci.reference import ImageReference
from modelpack.oci.registry import push as registry_push
from modelpack.oci.registry.client import connect
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, Layer, RunningService

_MANIFEST = "app/modelpack.json"


class DaemonlessEngine:
    """An `Engine`."""

    name = "oci"
    platform = HOST_PLATFORM

    def __init__(self) -> None:
        self._store = Store(folder())
        self._places = BaseImageSource()
        self._made: dict[str, Descriptor] = {}  # by id: what may have no name yet
        self._rooms: dict[str, daemonless_run.ImageRunner] = {}
        self._tried: dict[str, ExitStack] = {}
        weakref.finalize(self, _close, self._tried)

    def find_base(
        self,
        versions: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        return self._places.find(versions, reference, platform or HOST_PLATFORM, pull=pull)

    def require_runs(self, platform: str) -> None:
        """Passes: what is run is of this machine, whatever platform an image is for."""

    def fetch_debian(
        self, packages: DebianPackages, folder: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        base = packages.base
        name = f"{base.reference}@{base.digest}" if base.digest else base.reference
        for stage, names in packages.stages.items():
            with self._places.opened(name, packages.platform, base.python) as opened:
                apt.fetch(opened, names, folder / stage, index)
            for path in sorted((folder / stage).iterdir()):
                on_step(StepEvent(path.name, "done"))

    def wants_wheels(self, bundle: Bundle) -> bool:
        plan = read_plan(bundle)
        with self._base(bundle, plan) as base:
            return assemble.needs_wheels(plan, BuildContext(Context(bundle.directory), base, None))

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image:
        plan = read_plan(bundle)
        wheels = Path(index.wheelhouse) if index.wheelhouse else None
        with self._base(bundle, plan) as base, processes.temporary_directory() as scratch:
            tools = BuildContext(Context(bundle.directory), base, wheels)
            made = assemble.assemble(plan, tools, scratch, on_step)
        return self._keep(self._store.add(made))

    def _base(self, bundle: Bundle, plan: BuildPlan) -> AbstractContextManager[UnpackedBase]:
        locked = bundle.environment
        return self._places.opened(plan.base, locked.platform, locked.python)

    def require_joins(self) -> None:
        """Passes."""

    def join(self, images: Sequence[Image]) -> Image:
        return self._keep(self._store.add_index([self._made[image.id] for image in images]))

    def _keep(self, descriptor: Descriptor, reference: str = "") -> Image:
        image = self._described(descriptor, reference)
        self._made[image.id] = descriptor
        return image

    def _described(self, descriptor: Descriptor, reference: str) -> Image:
        """An image for several platforms is described as the one that is for this machine."""
        found = self._store.image(descriptor, HOST_PLATFORM)
        sized = [(layer.created_by, layer.blob.size) for layer in found.layers if layer.blob]
        labels = (found.config.get("config") or {}).get("Labels") or {}
        return Image(
            reference,
            self._store.identity(descriptor),
            sum(size for _, size in sized),
            tuple(Layer(*pair) for pair in sized),
            labels,
        )

    @contextmanager
    def contents(self, target: str) -> Iterator[oci.Image]:
        """The image itself, for this machine's platform where it is for several."""
        yield self._store.image(self._find(target), HOST_PLATFORM)

    def export(self, reference: str, path: Path) -> None:
        """Writes an image to a new file, as an archive that Docker, Podman and skopeo load; where
        its name does not end in .tar, to a new folder as an OCI layout.

        Raises:
            UsageError: there is no such image, or something is there already.
        """
        descriptor = self._find(reference)
        name = str(ImageReference.parse_tag(reference))
        if path.exists():
            raise UsageError(f"{path} is there already.", hint="Give another name, or remove it.")
        if path.suffix != ".tar":
            with modelpack_files.atomic_directory(path) as folder:
                self._store.lay_out(descriptor, name, folder, share=False)
            return
        with self._laid_out(descriptor, name) as folder:
            archive.write(path, folder)

    @contextmanager
    def _laid_out(self, descriptor: Descriptor, name: str = "") -> Iterator[Path]:
        """A layout of one image for the block, as engines take it: with its HEALTHCHECK."""
        with processes.temporary_directory(".laid-", self._store.path) as scratch:
            self._store.lay_out(descriptor, name, scratch / "layout", share=True)
            layout.to_docker_media_types(scratch / "layout")
            yield scratch / "layout"

    @contextmanager
    def pulled(self, reference: str) -> Iterator[str]:
        name = ImageReference.parse(reference)
        if not name.digest and self._store.find(str(ImageReference.parse_tag(reference))):
            yield reference
            return
        with oci.open_image(reference, HOST_PLATFORM) as image:
            layers = tuple(map(layer_cache.from_base_layer, image.layers))
        fetched = self._keep(self._store.add(AssembledImage(image.config, layers)))
        try:
            yield fetched.id
        finally:
            self.discard(fetched)

    def push(self, reference: str, on_progress: OnProgress) -> str:
        descriptor = self._find(reference)
        with self._laid_out(descriptor) as folder, connect(reference) as repository:
            index = oci_image.parse_json((folder / "index.json").read_bytes())
            (pointer,) = oci_image.descriptors(index, "manifests")
            return registry_push.push(
                layout.Folder(folder), pointer, repository, on_progress
            ).digest

    def tag(self, image: Image, reference: str) -> Image:
        name = str(ImageReference.parse_tag(reference))
        descriptor = self._find(image.id)
        self._store.name(descriptor, name)
        self._store.collect()
        return self._described(descriptor, name)

    def discard(self, image: Image) -> None:
        if image.id in self._tried:
            self._rooms.pop(image.id)
            self._tried.pop(image.id).close()
        descriptor = self._made.pop(image.id, None)
        if descriptor and not self._store.names(descriptor):
            self._store.collect()

    def manifest(self, target: str) -> dict[str, Any]:
        with self.contents(target) as image:
            try:
                document: dict[str, Any] = json.loads(filesystem.read(image, _MANIFEST))
            except (UsageError, ValueError) as error:
                raise UsageError(
                    f"{target!r} is no image that modelpack made: it has no /{_MANIFEST} that can"
                    " be read.",
                    hint="Make one with: modelpack package MODEL -t NAME --engine oci",
                ) from error
        return document

    @contextmanager
    def ask(self, target: str, document: bytes) -> Iterator[AnswerFuture]:
        with self._room(target).ask(document) as answer:
            yield answer

    def predict(self, target: str, arguments: Sequence[str], files: BatchStreams) -> int:
        return self._room(target).predict(arguments, files)

    def run(self, target: str) -> AbstractContextManager[RunningService]:
        return self._room(target).run()

    def _room(self, target: str) -> daemonless_run.ImageRunner:
        """Where the image is tried, until it is discarded or the engine is gone."""
        descriptor = self._find(target)
        id_ = self._store.identity(descriptor)
        if id_ not in self._rooms:
            image = self._store.image(descriptor, HOST_PLATFORM)
            base_images.require_platform(image, HOST_PLATFORM, target)
            stack = ExitStack()
            room = daemonless_run.select_runner(image, partial(self._laid_out, descriptor))
            self._rooms[id_] = stack.enter_context(room)
            self._tried[id_] = stack
        return self._rooms[id_]

    def _find(self, target: str) -> Descriptor:
        if target in self._made:
            return self._made[target]
        has_digest = "sha256:" in str(ImageReference.parse(target))
        name = target if has_digest else str(ImageReference.parse_tag(target))
        found = self._store.find(name)
        if found is None:
            raise UsageError(
                f"The embedded engine keeps no image {target}.",
                hint=f"It has: {', '.join(self._store.all_names()) or 'none'}.",
            )
        return found


def _close(tried: dict[str, ExitStack]) -> None:
    for stack in tried.values():
        stack.close()
