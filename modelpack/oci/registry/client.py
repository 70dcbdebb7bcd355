"""Manifests and blobs of one repository; pulling.

Source: opencontainers/distribution-spec 1.1, spec.md.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from modelpack import processes
from modelpack.oci import image as oci_image
from modelpack.oci.image import Descriptor, Image, malformed
from modelpack.oci.reference import ImageReference
from modelpack.oci.registry import errors
from modelpack.oci.registry.http import BROKEN, PAUSES, Transport

_ACCEPT = ", ".join(
    (oci_image.MANIFEST, oci_image.INDEX, oci_image.DOCKER_MANIFEST, oci_image.DOCKER_LIST)
)


class Repository:
    """The images of one name in a registry.

    Its methods raise UsageError if the registry cannot be reached, denies access or has no such
    image, and BuildFailedError if it fails.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.name = transport.name

    def path(self, rest: str) -> str:
        return f"{self.name.repository}/{rest}"

    def manifest(self, reference: str = "") -> tuple[Descriptor, bytes]:
        """Return the manifest or index of a tag or a digest (default: that of the name)."""
        found = self.find_manifest(reference)
        if found is None:
            raise errors.not_found(self.name, reference or self.name.reference)
        return found

    def find_manifest(self, reference: str = "") -> tuple[Descriptor, bytes] | None:
        """Return the same as `manifest`, or None if it does not exist."""
        requested = reference or self.name.reference
        path, accepted = self.path(f"manifests/{requested}"), {"Accept": _ACCEPT}
        with self.transport.request("GET", path, {200, 404}, headers=accepted) as answer:
            if answer.status_code == 404:
                return None
            data = self.transport.read(answer)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        document = oci_image.parse_json(data)
        if oci_image.is_digest(requested):
            oci_image.require_digest(data, requested)
        media_type = str(document.get("mediaType") or media_type)
        return Descriptor(media_type, digest_of(data), len(data)), data

    def put_manifest(self, data: bytes, media_type: str, reference: str = "") -> bool:
        """Upload a manifest by a tag or a digest (default: its digest).

        Returns:
            Whether the registry lists the referrers of the manifest's subject.
        """
        path = self.path(f"manifests/{reference or digest_of(data)}")
        headers = {"Content-Type": media_type}
        request = self.transport.request("PUT", path, {201}, headers=headers, body=data)
        with request as answer:
            return "OCI-Subject" in answer.headers

    def has_blob(self, digest: str) -> bool:
        with self.transport.request("HEAD", self.path(f"blobs/{digest}"), {200, 404}) as answer:
            return answer.status_code == 200


@contextmanager
def connect(reference: str, *, plain_http: bool = False) -> Iterator[Repository]:
    """Open the repository of an image. Nothing is requested yet.

    Raises:
        UsageError: `reference` is not a valid image reference.
    """
    transport = Transport(ImageReference.parse(reference), plain_http=plain_http)
    try:
        yield Repository(transport)
    finally:
        transport.close()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# Source: opencontainers/distribution-spec 1.1, spec.md, "Pulling blobs"; RFC 9110, 14.2 for
# ranges.
_CHUNK = 2**18


def download(repository: Repository, blob: Descriptor, path: Path) -> None:
    """Download a blob to the file `path`, and resume from what it contains.

    Raises:
        UsageError: The registry has no such blob, or returns another one.
        BuildFailedError: The registry fails.
    """
    with path.open("ab") as file:
        for pause in (*PAUSES, None):
            try:
                _rest(repository, blob, file)
            except BROKEN as error:
                if pause is None:
                    raise errors.connection_lost(repository.name, error) from None
                time.sleep(pause)
            if file.tell() >= blob.size:
                break
    _require(path, blob)


def _rest(repository: Repository, blob: Descriptor, file: IO[bytes]) -> None:
    """Download the rest, at most as much as the blob should have."""
    headers = {"Range": f"bytes={file.tell()}-", "Accept-Encoding": "identity"}
    path = repository.path(f"blobs/{blob.digest}")
    if file.tell() == 0:
        del headers["Range"]
    with repository.transport.request("GET", path, {200, 206}, headers=headers) as answer:
        if answer.status_code == 200:
            file.truncate(0)
        while file.tell() <= blob.size and (data := answer.raw.read(_CHUNK)):
            file.write(data)
            file.flush()


def _require(path: Path, blob: Descriptor) -> None:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            found.update(data)
    if f"sha256:{found.hexdigest()}" != blob.digest or path.stat().st_size != blob.size:
        path.unlink()
        raise malformed(f"the registry returns something else for {blob.digest}")


class RemoteStore:
    """A `Store` that downloads blobs to `folder` on demand."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self._repository = repository
        self._folder = folder

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._repository.manifest(descriptor.digest)[1]

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        path = self._folder / descriptor.digest.removeprefix("sha256:")
        if not path.exists():
            partial = path.with_suffix(".partial")
            download(self._repository, descriptor, partial)
            partial.rename(path)
        with path.open("rb") as stream:
            yield stream


@contextmanager
def image(
    reference: str, platform: str | None = None, *, plain_http: bool = False
) -> Iterator[Image]:
    """Open an image in a registry. Layers are downloaded to a temporary directory when opened.

    Raises:
        UsageError: The registry has no such image, or cannot be reached.
        BuildFailedError: The registry fails.
    """
    with (
        connect(reference, plain_http=plain_http) as repository,
        processes.temporary_directory() as kept,
    ):
        found, _ = repository.manifest()
        yield oci_image.image(RemoteStore(repository, kept), found, platform)
