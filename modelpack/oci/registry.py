"""A client of registries: the manifests and blobs of one repository.

Source: opencontainers/distribution-spec 1.1, spec.md. Uploads, downloads and referrers have files
of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from modelpack.oci import documents, failures, names
from modelpack.oci.documents import Descriptor
from modelpack.oci.transport import Transport

_ACCEPT = ", ".join(
    (documents.MANIFEST, documents.INDEX, documents.DOCKER_MANIFEST, documents.DOCKER_LIST)
)


class Repository:
    """The images of one name in a registry. Its methods raise:

    UsageError: the registry cannot be reached, does not let this user do it, or has no such thing.
    BuildFailedError: it fails.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.name = transport.name

    def path(self, rest: str) -> str:
        return f"{self.name.repository}/{rest}"

    def manifest(self, reference: str = "") -> tuple[Descriptor, bytes]:
        """The manifest or index of a tag or a digest, else of the name's own."""
        found = self.find_manifest(reference)
        if found is None:
            raise failures.absent(self.name, reference or self.name.reference)
        return found

    def find_manifest(self, reference: str = "") -> tuple[Descriptor, bytes] | None:
        """As `manifest`; None if there is none."""
        wanted = reference or self.name.reference
        path, accepted = self.path(f"manifests/{wanted}"), {"Accept": _ACCEPT}
        with self.transport.request("GET", path, {200, 404}, headers=accepted) as answer:
            if answer.status_code == 404:
                return None
            data = self.transport.read(answer)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        document = documents.parsed(data)
        if documents.is_digest(wanted):
            documents.verified(data, wanted)
        media_type = str(document.get("mediaType") or media_type)
        return Descriptor(media_type, digest_of(data), len(data)), data

    def put_manifest(self, data: bytes, media_type: str, reference: str = "") -> bool:
        """Under a tag or a digest, else under its own digest. Returns whether the registry lists
        what refers to the manifest's subject.
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
def connected(reference: str, *, plain_http: bool = False) -> Iterator[Repository]:
    """The repository of an image's name. Nothing is asked of it yet.

    Raises:
        UsageError: `reference` is no name.
    """
    transport = Transport(names.parse(reference), plain_http=plain_http)
    try:
        yield Repository(transport)
    finally:
        transport.close()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
