"""`PodmanEngine`, and its pushes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from docker.errors import ImageNotFound

from modelpack import oci, processes
from modelpack.engines.docker.containers import Container
from modelpack.engines.docker.engine import DockerEngine
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

_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
# libpod's own API, of which Docker's knows nothing; any version of the same first number will do.
_IMAGE = "/v4.0.0/libpod/images/{}/json"
_HEALTH = "/v4.0.0/libpod/containers/{}/healthcheck"
# What the kernel can drop at any time, by cgroups(7) of version 2 or 1.
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
    """A running container as a `Service`."""

    engine = "podman"

    def health(self) -> str | None:
        """Podman leaves it to timers of systemd to ask, and there may be none: it is asked here."""
        api = self._container.client.api
        api.get(api.base_url + _HEALTH.format(self._container.id))
        return super().health()

    def memory_bytes(self) -> int | None:
        """Podman's own figure counts the page cache. Where it may make no cgroup, as without root
        and with version 1 of them, it is that of the whole machine.
        """
        stats = self._container.stats(stream=False, one_shot=True)["memory_stats"]
        if stats.get("limit") != self._container.attrs["HostConfig"]["Memory"]:
            return None
        with suppress(ValueError):
            return int(stats["usage"]) - int(self._python(_INACTIVE))
        return None

    def _python(self, code: str) -> bytes:
        """By the command: what its API starts is looked after for five more minutes."""
        command = ["podman", "exec", self._container.id, "python", "-c", code]
        return subprocess.run(command, capture_output=True, check=False).stdout


class PodmanEngine(DockerEngine):
    """An `Engine`. Making one starts Podman's service, which ends with it.

    Raises:
        NoEngineError: Podman is not installed, or does not start.
    """

    name = "podman"
    _container = PodmanContainer

    def __init__(self) -> None:
        super().__init__(service.start())

    def _called(self, target: str) -> str:
        """Podman looks for a name without a host by its end: "iris:1" would be any image's that is
        called so, of whatever registry. Here it is, as with Docker, one that was built here, else
        the Hub's.
        """
        reference = ImageReference.parse(target)
        if _ID.fullmatch(target) or reference.has_registry:
            return target
        with suppress(ImageNotFound):
            return self._client.images.get(f"localhost/{target}") and f"localhost/{target}"
        return reference.canonical

    def push(self, reference: str, on_progress: OnProgress) -> str:
        ImageReference.parse_tag(reference)
        return push(self._called(reference), reference, on_progress)

    @contextmanager
    def contents(self, target: str) -> Iterator[oci.Image]:
        """As Docker's API has it, with what Podman leaves out there."""
        with super().contents(target) as image:
            config = {**image.config["config"], **self._health(self._called(target))}
            yield replace(image, config={**image.config, "config": config})

    def _health(self, image: str) -> dict[str, Any]:
        api = self._client.api
        found = api.get(api.base_url + _IMAGE.format(image)).json().get("Healthcheck")
        return {"Healthcheck": found} if found else {}

    def tag(self, image: Image, reference: str) -> Image:
        has_registry = ImageReference.parse_tag(reference).has_registry
        image = replace(image, id=self._called(image.id))  # or its name
        return super().tag(image, reference if has_registry else f"localhost/{reference}")


# `podman push` tells neither how far it is nor what the registry had already. The folder that it
# saves to is that of containers-transports(5), "dir": manifest.json, and each blob by its digest.
def push(image: str, reference: str, on_progress: OnProgress) -> str:
    """`image`: what Podman calls it. `reference`: where to. Returns the digest of its manifest.

    Raises:
        UsageError: the registry cannot be reached, or does not let this user do it.
        BuildFailedError: the registry fails, or Podman does not give the image.
    """
    with client.connect(reference) as repository, processes.temporary_directory() as scratch:
        repository.find_manifest()  # told now, not after the image is saved
        folder = scratch / "image"
        _save(image, folder)
        data = (folder / "manifest.json").read_bytes()
        media_type = str(oci_image.parse_json(data).get("mediaType") or oci_image.MANIFEST)
        top = Descriptor(media_type, client.digest_of(data), len(data))
        return registry_push.push(_Folder(folder), top, repository, on_progress).digest


class _Folder:
    """A `Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self, descriptor: Descriptor) -> bytes:  # noqa: ARG002 - there is one
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
            f"Podman does not give the image {image}: {last}.",
            hint=f"Try it: podman save {image} -o FILE",
        ) from error
