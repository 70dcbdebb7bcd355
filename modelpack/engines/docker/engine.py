"""`DockerEngine`: builds and runs images with Docker."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from modelpack import oci, processes
from modelpack.assembly.files import MTIME
from modelpack.engines import index_secrets, sandbox
from modelpack.engines.docker import base_images, connection, containers, transfers
from modelpack.engines.docker import contents as docker_contents
from modelpack.engines.docker.base_images import BaseImages
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.docker.containers import Container
from modelpack.engines.protocol import (
    PLATFORM_HINT,
    AnswerFuture,
    BatchStreams,
    DebianPackages,
    OnProgress,
    OnStep,
)
from modelpack.engines.sandbox import Sandbox
from modelpack.errors import NoEngineError, UsageError
from modelpack.oci.reference import ImageReference
from modelpack.types import BaseImage, Bundle, Image, IndexSettings, Layer

_MANIFEST = "/app/modelpack.json"
_EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/specs/source-date-epoch/
_FILE_LIMIT = 16 * 1024 * 1024


class DockerEngine:
    """An `Engine`. Making one connects to the daemon: NoEngineError if none answers."""

    name = "docker"
    _container = Container

    def __init__(self, host: EngineHost | None = None) -> None:
        self._host = host or connection.host()
        self._client = self._host.client
        weakref.finalize(self, self._client.close)
        version = self._client.version()
        self.platform = f"{version['Os']}/{version['Arch']}"
        self._bases = BaseImages(self._host, self._called)
        self._bases_here = BaseImages(self._host, self._called, pull=False)

    def _called(self, target: str) -> str:
        """Return what the engine calls the image that a user calls `target`.

        Raises:
            UsageError: No image can have this name.
        """
        return str(ImageReference.parse(target))

    def find_base(
        self,
        versions: Sequence[str],
        reference: str | None = None,
        *,
        platform: str | None = None,
        pull: bool = True,
    ) -> BaseImage:
        bases = self._bases if pull else self._bases_here
        if platform is None or platform == self.platform:
            return bases.find(versions, reference)
        return bases.of_other_platform(versions, reference, platform)

    def require_runs(self, platform: str) -> None:
        if not self._runs(platform):
            raise NoEngineError(
                f"This engine runs {self.platform} only, and so can test nothing of {platform}.",
                hint=PLATFORM_HINT.format(platform),
            )

    def _runs(self, platform: str) -> bool:
        host = self._host
        return platform == self.platform or platform in host.builder.platforms(host.environ)

    def fetch_debian(
        self, packages: DebianPackages, folder: Path, index: IndexSettings, on_step: OnStep
    ) -> None:
        base_images.fetch(packages, folder, index, on_step, self._host)

    def build(self, bundle: Bundle, index: IndexSettings, on_step: OnStep) -> Image:
        platform = bundle.environment.platform
        if bundle.environment.sdists and not self._runs(platform):
            raise NoEngineError(
                f"{', '.join(bundle.environment.sdists)} must be built from source for {platform},"
                f" and this engine runs {self.platform} only.",
                hint="Build the image on such a machine, of the same bundle.",
            )
        host = self._host
        options, environ = index_secrets.for_build(index, host.environ)
        options.append(f"--platform={platform}")
        options.append(f"--build-arg=BASE={'slim' if bundle.slim_base else 'full'}")
        options.append(f"--build-arg={_EPOCH}={environ.get(_EPOCH, MTIME)}")
        built = host.builder.build(bundle.directory, on_step, environ=environ, options=options)
        return self._image(built, "")

    def load(self, archive: Iterable[bytes]) -> Image:
        """Takes in an image that lies in an archive of `docker save`, without a name."""
        (found,) = self._client.images.load(archive)
        return self._image(found.id, "")

    def require_joins(self) -> None:
        raise NoEngineError(
            "This engine keeps images of one platform each.",
            hint="An image for several is made by --engine oci.",
        )

    def join(self, images: Sequence[Image]) -> Image:  # noqa: ARG002 - never
        self.require_joins()
        raise AssertionError

    def wants_wheels(self, bundle: Bundle) -> bool:  # noqa: ARG002 - never
        return False

    @contextmanager
    def ask(self, target: str, document: bytes) -> Iterator[AnswerFuture]:
        with (
            self._sandbox(target, sandbox.REFERENCE_COMMAND) as container,
            container.asked(document) as answer,
        ):
            yield answer

    def predict(self, target: str, arguments: Sequence[str], files: BatchStreams) -> int:
        with self._sandbox(target, (*sandbox.PREDICT_COMMAND, *arguments)) as container:
            return container.pass_through(files.rows, files.answers, files.on_line)

    @contextmanager
    def _sandbox(self, target: str, arguments: Sequence[str]) -> Iterator[Sandbox]:
        name, image = containers.new_name(), self._called(target)
        try:
            memory = sandbox.memory_for(containers.model_bytes(self._host, image))
        except ImageNotFound as error:
            raise self._host.no_image(target) from error
        # conmon, which Podman starts, leaves an empty file "oom" where it was started.
        with processes.temporary_directory() as folder, containers.remove_on_exit(self._host, name):
            command = containers.create_sandbox(self._host, image, name, arguments, memory)
            yield Sandbox(command, {"env": self._host.environ, "cwd": folder}, memory)

    def tag(self, image: Image, reference: str) -> Image:
        name = ImageReference.parse_tag(reference)
        self._client.images.get(image.id).tag(name.name, name.tag)
        return self._image(image.id, str(name))

    def push(self, reference: str, on_progress: OnProgress) -> str:
        name = ImageReference.parse_tag(reference)
        with closing(self._host.connect()) as client:
            return transfers.push(client, name, on_progress)

    def discard(self, image: Image) -> None:
        with suppress(ImageNotFound):
            if not self._client.images.get(image.id).tags:
                self._remove(image)

    def _remove(self, image: Image) -> None:
        try:
            # Podman keeps the cache of its builds as images without a name.
            self._client.images.remove(image.id, noprune=True)
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
            # A container of it is somebody else's: the same bundle was built twice at a time.

    def pulled(self, reference: str) -> AbstractContextManager[str]:
        return transfers.pull_temporarily(self._host, self._called(reference))

    def run(self, target: str) -> AbstractContextManager[Container]:
        return containers.run_container(self._host, self._called(target), self._container)

    def contents(self, target: str) -> AbstractContextManager[oci.Image]:
        return docker_contents.open_saved_image(self._host, self._called(target))

    def manifest(self, target: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(self._file(target, _MANIFEST))
        except ImageNotFound as error:
            raise self._host.no_image(target) from error
        except (APIError, ValueError) as error:
            raise UsageError(
                f"{target!r} is no image that modelpack made: it has no {_MANIFEST} that can be "
                "read.",
                hint="Make one with: modelpack package MODEL -t NAME",
            ) from error
        return document

    def _file(self, reference: str, path: str) -> bytes:
        """A regular file of an image. ValueError if it is none, or larger than 16 MiB."""
        name = f"modelpack-read-{secrets.token_hex(6)}"
        try:
            image, options = self._called(reference), {"command": ["-"], "name": name}
            containers.create(self._client, image, network_disabled=True, **options)
            chunks, stat = self._client.api.get_archive(name, path)
            if stat["size"] > _FILE_LIMIT:
                raise ValueError(f"{path} has {stat['size']} bytes")
            return _only_file(b"".join(chunks))
        finally:
            with suppress(NotFound):
                self._client.api.remove_container(name, force=True, v=True)

    def _image(self, id_: str, reference: str) -> Image:
        image = self._client.images.get(id_)
        layers = tuple(
            Layer(entry["CreatedBy"], entry["Size"]) for entry in reversed(image.history())
        )
        labels: Mapping[str, str] = dict(image.labels)
        return Image(reference, image.id, image.attrs["Size"], layers, labels)


def _only_file(archive: bytes) -> bytes:
    """The content of a tar archive of one regular file; ValueError if it is anything else."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        member = members.next()
        content = members.extractfile(member) if member and member.isfile() else None
        if content is None:
            raise ValueError("not a regular file")
        return content.read()
