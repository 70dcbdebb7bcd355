"""Pushes an image of Podman's: saved by it, compressed, and sent by the client of registries here.

`podman push` tells neither how far it is nor what the registry had already. The folder that it
saves to is that of containers-transports(5), "dir": manifest.json, and each blob by its digest.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from modelpack import processes
from modelpack.engines.protocol import OnProgress
from modelpack.errors import BuildFailedError
from modelpack.oci import image as oci_image
from modelpack.oci import streams
from modelpack.oci.image import Descriptor
from modelpack.oci.registry import client
from modelpack.oci.registry import push as registry_push


def push(image: str, reference: str, on_progress: OnProgress) -> str:
    """`image`: what Podman calls it. `reference`: where to. Returns the digest of its manifest.

    Raises:
        UsageError: the registry cannot be reached, or does not let this user do it.
        BuildFailedError: the registry fails, or Podman does not give the image.
    """
    with client.connected(reference) as repository, processes.scratch_folder() as scratch:
        repository.find_manifest()  # told now, not after the image is saved
        folder = scratch / "image"
        _save(image, folder)
        data = (folder / "manifest.json").read_bytes()
        media_type = str(oci_image.parsed(data).get("mediaType") or oci_image.MANIFEST)
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
