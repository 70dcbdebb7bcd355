"""Builds, stores and runs images with Docker."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from modelpack import oci, processes
from modelpack.assembly.files import MTIME
from modelpack.dockerfile import EPOCH, image_time
from modelpack.engines import index_secrets, sandbox
from modelpack.engines.build_cache import BuildCache
from modelpack.engines.docker import base_images, connection, containers, transfers
from modelpack.engines.docker import contents as docker_contents
from modelpack.engines.docker.base_images import BaseImageSelector
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.docker.containers import Container
from modelpack.engines.protocol import (
    MANIFEST,
    PLATFORM_HINT,
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    Engine,
    OnProgress,
    OnStep,
    manifest_error,
)
from modelpack.engines.sandbox import Sandbox
from modelpack.errors import NoEngineError
from modelpack.oci.reference import ImageReference
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, Layer

_MAX_FILE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class DockerEngine(Engine):
    """An engine with Docker's API. It lives as long as one of its parts."""

    images: DockerStore


def create_engine() -> DockerEngine:
    """Connect to the Docker daemon. Raise NoEngineError if no daemon answers."""
    host = connection.connect_host()
    store, runner = DockerStore(host), DockerRunner(host)
    return DockerEngine("docker", host.platform, DockerBuilder(host), runner, store)


class DockerBuilder:
    """A `Builder` and `CachingBuilder`."""

    def __init__(self, host: EngineHost) -> None:
        self.host = host
        self._base_images = BaseImageSelector(host)
        self._cache: tuple[list[str], dict[str, str]] = [], {}

    def use_cache(self, cache: BuildCache) -> None:
        self._cache = self.host.build_tool.cache_options(cache, self.host.environ)

    def find_base_image(
        self,
        pythons: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        if platform is None or platform == self.host.platform:
            return self._base_images.find(pythons, reference, pull=pull)
        return self._base_images.find_foreign(pythons, reference, platform, pull=pull)

    def needs_wheels(self, bundle: Bundle) -> bool:  # noqa: ARG002 - pip runs in the build
        return False

    def download_debian_packages(
        self, packages: DebianPackages, directory: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        base_images.download_debian_packages(packages, directory, index, on_step, self.host)

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image:
        platform, host = bundle.environment.platform, self.host
        if bundle.environment.sdists and not host.can_run(platform):
            raise NoEngineError(
                f"{', '.join(bundle.environment.sdists)} must be built from source for {platform},"
                f" and this engine runs {host.platform} only.",
                hint="Build the image on such a machine, of the same bundle.",
            )
        options, environ = index_secrets.for_build(index, host.environ)
        options.append(f"--platform={platform}")
        options.append(f"--build-arg=BASE={'slim' if bundle.slim_base else 'full'}")
        dated = None if host.build_tool.DATES_FILES else image_time(bundle.directory / "Dockerfile")
        options.append(f"--build-arg={EPOCH}={environ.get(EPOCH, dated or MTIME)}")
        cache_options, variables = self._cache
        image_id = connection.build_image(
            host.build_tool,
            bundle.directory,
            on_step,
            environ={**environ, **variables},
            options=[*options, *cache_options],
        )
        return _describe(host, image_id)


@dataclass(frozen=True)
class DockerStore:
    """An `ImageStore`."""

    host: EngineHost

    def load(self, archive: Iterable[bytes]) -> Image:
        """Load an archive of `docker save` with one untagged image."""
        (image,) = self.host.client.images.load(archive)
        return _describe(self.host, image.id)

    def tag(self, image: Image, reference: str) -> Image:
        name = ImageReference.parse_tag(reference)
        self.host.client.images.get(image.id).tag(name.name, name.tag)
        return _describe(self.host, image.id, str(name))

    def push(self, reference: str, on_progress: OnProgress) -> str:
        name = ImageReference.parse_tag(reference)
        with closing(self.host.connect()) as client:
            return transfers.push(client, name, on_progress)

    def remove_untagged(self, image: Image) -> None:
        images = self.host.client.images
        with suppress(ImageNotFound):
            if images.get(image.id).tags:
                return
            try:
                # Podman stores the cache of its builds as untagged images.
                images.remove(image.id, noprune=True)
            except APIError as error:
                # Another process built the same bundle, and has a container of the image.
                if error.status_code != HTTPStatus.CONFLICT:
                    raise

    def find(self, target: str) -> Image:
        try:
            return _describe(self.host, self.host.engine_name(target), target)
        except ImageNotFound as error:
            raise self.host.no_image(target) from error

    def read_manifest(self, target: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(self._read_file(target, f"/{MANIFEST}"))
        except ImageNotFound as error:
            raise self.host.no_image(target) from error
        except (APIError, ValueError) as error:
            raise manifest_error(target) from error
        return document

    def _read_file(self, reference: str, path: str) -> bytes:
        """Read a file of an image. Raise ValueError if it is not regular, or larger than 16 MiB."""
        client, name = self.host.client, f"modelpack-read-{secrets.token_hex(6)}"
        try:
            image, options = self.host.engine_name(reference), {"command": ["-"], "name": name}
            containers.create(client, image, network_disabled=True, **options)
            chunks, stat = client.api.get_archive(name, path)
            if stat["size"] > _MAX_FILE_BYTES:
                raise ValueError(f"{path} has {stat['size']} bytes")
            return _only_file(b"".join(chunks))
        finally:
            with suppress(NotFound):
                client.api.remove_container(name, force=True, v=True)

    def open_image(self, target: str) -> AbstractContextManager[oci.Image]:
        return docker_contents.open_saved_image(self.host, self.host.engine_name(target))

    def pull_temporarily(self, reference: str) -> AbstractContextManager[str]:
        return transfers.pull_temporarily(self.host, self.host.engine_name(reference))


@dataclass(frozen=True)
class DockerRunner:
    """A `Runner`. `container` is the class of the services."""

    host: EngineHost
    container: type[Container] = Container

    def require_platform(self, platform: str) -> None:
        if not self.host.can_run(platform):
            raise NoEngineError(
                f"This engine runs {self.host.platform} only, and so can test nothing of"
                f" {platform}.",
                hint=PLATFORM_HINT.format(platform),
            )

    @contextmanager
    def query_model(
        self, target: str, request: bytes, more_seconds: float = 0.0
    ) -> Iterator[AnswerFuture]:
        with (
            self._sandbox(target, sandbox.REFERENCE_COMMAND) as process,
            process.query(request, more_seconds) as answer,
        ):
            yield answer

    def predict(self, target: str, arguments: Sequence[str], streams: BatchStreams) -> int:
        with self._sandbox(target, (*sandbox.PREDICT_COMMAND, *arguments)) as process:
            return process.stream(streams)

    @contextmanager
    def _sandbox(self, target: str, arguments: Sequence[str]) -> Iterator[Sandbox]:
        host, name, image = self.host, containers.new_name(), self.host.engine_name(target)
        try:
            memory = sandbox.memory_for(containers.model_bytes(host, image))
        except ImageNotFound as error:
            raise host.no_image(target) from error
        # conmon, which Podman starts, leaves an empty file "oom" in its working directory.
        with processes.temporary_directory() as directory, containers.remove_on_exit(host, name):
            command = containers.create_sandbox(host, image, name, arguments, memory)
            yield Sandbox(command, {"env": host.environ, "cwd": directory}, memory)

    def run(self, target: str) -> AbstractContextManager[Container]:
        return containers.run_container(self.host, self.host.engine_name(target), self.container)


def _describe(host: EngineHost, target: str, reference: str = "") -> Image:
    image = host.client.images.get(target)
    layers = tuple(Layer(entry["CreatedBy"], entry["Size"]) for entry in reversed(image.history()))
    labels: Mapping[str, str] = dict(image.labels)
    # Podman also lists digests of images that were never pushed.
    digests = image.attrs.get("RepoDigests") or () if host.command == "docker" else ()
    return Image(reference, image.id, image.attrs["Size"], layers, labels, tuple(digests))


def _only_file(archive: bytes) -> bytes:
    """Return the content of the only file of a tar archive. Raise ValueError for other members."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        member = members.next()
        content = members.extractfile(member) if member and member.isfile() else None
        if content is None:
            raise ValueError("not a regular file")
        return content.read()
