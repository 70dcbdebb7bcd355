"""Builds, stores and runs images with Podman, through Docker's API."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from modelpack import oci, processes
from modelpack.engines.docker.containers import Container
from modelpack.engines.docker.engine import DockerBuilder, DockerEngine, DockerRunner, DockerStore
from modelpack.engines.podman import service
from modelpack.engines.protocol import OnProgress
from modelpack.errors import BuildFailedError
from modelpack.oci import image as oci_image
from modelpack.oci import streams
from modelpack.oci.image import Descriptor
from modelpack.oci.reference import ImageReference
from modelpack.oci.registry import client
from modelpack.oci.registry import push as registry_push
from modelpack.types import Image

# The API of libpod. Any version with the same major number is accepted.
_IMAGE = "/v4.0.0/libpod/images/{}/json"
_HEALTH = "/v4.0.0/libpod/containers/{}/healthcheck"
# Memory that the kernel can free at any time. See cgroups(7), versions 2 and 1.
_INACTIVE = """
for name, word in (("memory.stat", "inactive_file"), ("memory/memory.stat", "total_inactive_file")):
    try:
        lines = open("/sys/fs/cgroup/" + name).read().splitlines()
        print(dict(line.split() for line in lines)[word])
        break
    except (OSError, KeyError):
        pass
"""


class PodmanContainer(Container):
    """A `RunningService` in a container."""

    engine = "podman"

    def health(self) -> str | None:
        """Run the health check. Podman relies on timers of systemd, which may not exist."""
        api = self._container.client.api
        api.get(api.base_url + _HEALTH.format(self._container.id))
        return super().health()

    def memory_bytes(self) -> int | None:
        """Return the memory without the page cache, which Podman counts.

        Without a cgroup, for example as a normal user with cgroups version 1, Podman reports the
        memory of the whole machine. The result is then None.
        """
        stats = self._container.stats(stream=False, one_shot=True)["memory_stats"]
        if not self._has_cgroup(stats):
            return None
        with suppress(ValueError):
            return int(stats["usage"]) - int(self.run_python("-c", _INACTIVE))
        return None

    def cpu_seconds(self) -> float | None:
        """Return the CPU time, or None without a cgroup, as for the memory."""
        stats = self._container.stats(stream=False, one_shot=True)["memory_stats"]
        return super().cpu_seconds() if self._has_cgroup(stats) else None

    def _has_cgroup(self, memory_stats: dict[str, Any]) -> bool:
        return bool(memory_stats.get("limit") == self._container.attrs["HostConfig"]["Memory"])

    def run_python(self, *arguments: str) -> bytes:
        """Use the command, because Podman watches a process started by the API for five minutes."""
        command = ["podman", "exec", self._container.id, "python", *arguments]
        return subprocess.run(command, capture_output=True, check=False).stdout


class PodmanStore(DockerStore):
    """An `ImageStore`."""

    def tag(self, image: Image, reference: str) -> Image:
        has_registry = ImageReference.parse_tag(reference).has_registry
        image = replace(image, id=self.host.engine_name(image.id))  # or its name
        return super().tag(image, reference if has_registry else f"localhost/{reference}")

    def push(self, reference: str, on_progress: OnProgress) -> str:
        ImageReference.parse_tag(reference)
        return push(self.host.engine_name(reference), reference, on_progress)

    @contextmanager
    def open_image(self, target: str) -> Iterator[oci.Image]:
        """Open an image with its HEALTHCHECK, which Podman omits from Docker's API."""
        with super().open_image(target) as image:
            config = {**image.config["config"], **self._healthcheck(target)}
            yield replace(image, config={**image.config, "config": config})

    def _healthcheck(self, target: str) -> dict[str, Any]:
        api = self.host.client.api
        url = api.base_url + _IMAGE.format(self.host.engine_name(target))
        healthcheck = api.get(url).json().get("Healthcheck")
        return {"Healthcheck": healthcheck} if healthcheck else {}


def create_engine() -> DockerEngine:
    """Start Podman's service. Raise NoEngineError if Podman is not installed, or does not start."""
    host = service.start()
    runner = DockerRunner(host, PodmanContainer)
    return DockerEngine("podman", host.platform, DockerBuilder(host), runner, PodmanStore(host))


# `podman push` reports neither its progress nor what the registry already had. `podman save` writes
# a "dir" of containers-transports(5): manifest.json, and each blob by its digest.
def push(image: str, reference: str, on_progress: OnProgress) -> str:
    """Push an image, and return the digest of its manifest.

    `image` is Podman's name of it, `reference` the name in the registry.

    Raises:
        UsageError: The registry cannot be reached or denies access.
        BuildFailedError: The registry fails, or Podman cannot save the image.
    """
    with client.connect(reference) as repository, processes.temporary_directory() as scratch:
        repository.find_manifest()  # fails before the image is saved
        folder = scratch / "image"
        _save(image, folder)
        data = (folder / "manifest.json").read_bytes()
        media_type = str(oci_image.parse_json(data).get("mediaType") or oci_image.MANIFEST)
        top = Descriptor(media_type, client.digest_of(data), len(data))
        return registry_push.push(_Folder(folder), top, repository, on_progress).digest


class _Folder:
    """A `Store` in a directory that `podman save` wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self, descriptor: Descriptor) -> bytes:  # noqa: ARG002 - the only one
        with (self._path / "manifest.json").open("rb") as stream:
            return stream.read(streams.DOCUMENT + 1)

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        with (self._path / descriptor.digest.removeprefix("sha256:")).open("rb") as stream:
            yield stream


def _save(image: str, folder: Path) -> None:
    command = ["podman", "save", "--quiet", "--format=docker-dir", "--compress"]
    try:
        processes.run([*command, f"--output={folder}", image], "")
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        raise BuildFailedError(
            f"Podman cannot save the image {image}: {last}.",
            hint=f"Run: podman save {image} -o FILE",
        ) from error
