"""A client of registries: the manifests and blobs of one repository, and what refers to them.

Source: opencontainers/distribution-spec 1.1, spec.md; for registries that keep no list of what
refers to a manifest, its "Referrers Tag Schema".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from modelpack import reaper
from modelpack.oci import documents, failures, limits, names, uploads
from modelpack.oci.documents import Descriptor
from modelpack.oci.downloads import download
from modelpack.oci.image import Blob, of_bytes
from modelpack.oci.transport import Transport
from modelpack.oci.uploads import OnProgress

_PAGES = 100
_ACCEPT = ", ".join(
    (documents.MANIFEST, documents.INDEX, documents.DOCKER_MANIFEST, documents.DOCKER_LIST)
)


class Repository:
    """The images of one name in a registry; a `Store` of them. What is fetched lies in `folder`.
    Its methods raise:

    UsageError: the registry cannot be reached, does not let this user do it, or has no such thing.
    BuildFailedError: it fails.
    """

    def __init__(self, transport: Transport, folder: Path) -> None:
        self._transport = transport
        self._folder = folder
        self.image = transport.name

    @property
    def name(self) -> str:
        """With its host, without tag and digest."""
        return f"{self.image.host}/{self.image.repository}"

    # --- manifests

    def find(self, reference: str = "") -> Descriptor | None:
        """What a tag or a digest, else the name's own, stands for; None if it is not there."""
        found = self._manifest(reference or self.image.reference)
        return found[0] if found else None

    def manifest(self, descriptor: Descriptor) -> bytes:
        found = self._manifest(descriptor.digest)
        if found is None:
            raise failures.absent(self.image, descriptor.digest)
        return found[1]

    def put_manifest(self, data: bytes, tag: str | None = None) -> Descriptor:
        """A manifest or an index, under a tag or else under its digest only. What has a subject is
        listed as referring to it.
        """
        made = _described(data)
        path = self._transport.path(f"manifests/{tag or made.digest}")
        headers = {"Content-Type": made.media_type}
        with self._transport.request("PUT", path, {201}, headers=headers, body=data) as answer:
            is_listed = "OCI-Subject" in answer.headers
        subject = documents.parsed(data).get("subject")
        if subject and not is_listed:
            self._list_by_tag(documents.descriptor_of(subject).digest, made)
        return made

    def _manifest(self, reference: str) -> tuple[Descriptor, bytes] | None:
        path, accepted = self._transport.path(f"manifests/{reference}"), {"Accept": _ACCEPT}
        with self._transport.request("GET", path, {200, 404}, headers=accepted) as answer:
            if answer.status_code == 404:
                return None
            data = answer.raw.read(limits.DOCUMENT + 1, decode_content=True)
            media_type = answer.headers.get("Content-Type", "").partition(";")[0]
        if documents.is_digest(reference):
            documents.verified(data, reference)
        return _described(data, media_type), data

    # --- blobs

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        """Fetched as a whole, and compared with its digest, before it is opened."""
        path = self._folder / descriptor.digest.removeprefix("sha256:")
        if not path.exists():
            partial = path.with_suffix(".partial")
            download(self._transport, descriptor, partial)
            partial.rename(path)
        with path.open("rb") as stream:
            yield stream

    def put_blob(self, data: bytes, media_type: str) -> Descriptor:
        blob = of_bytes(data, media_type)
        self.upload(blob, lambda *_: None)
        return Descriptor(media_type, blob.digest, blob.size)

    def upload(self, blob: Blob, on_progress: OnProgress) -> bool:
        """Whether it had to be: False, if it was there already."""
        return uploads.upload(self._transport, blob, on_progress)

    # --- referrers

    def referrers(self, digest: str) -> Sequence[tuple[str, Descriptor]]:
        """The manifests whose subject has that digest, each with its type of artifact."""
        found = list(self._listed(digest)) or self._tagged(digest)
        return [(entry.artifact_type, entry) for entry in found]

    def _listed(self, digest: str) -> Iterator[Descriptor]:
        """In the registry's own list, page by page; none where it keeps no list."""
        path = self._transport.path(f"referrers/{digest}")
        for _ in range(_PAGES):
            with self._transport.request("GET", path, {200, 400, 404, 405}) as answer:
                if answer.status_code != 200:
                    return
                data = answer.raw.read(limits.DOCUMENT + 1, decode_content=True)
                following = answer.links.get("next", {}).get("url")
            yield from documents.descriptors(documents.parsed(data), "manifests")
            if not following:
                return
            path = urljoin(answer.url, following)

    def _tagged(self, digest: str) -> list[Descriptor]:
        found = self._manifest(_tag(digest))
        return documents.descriptors(documents.parsed(found[1]), "manifests") if found else []

    def _list_by_tag(self, digest: str, entry: Descriptor) -> None:
        """Adds `entry` to what the tag lists. Of two that do so at once, the last one wins."""
        others = [other for other in self._tagged(digest) if other.digest != entry.digest]
        index: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": documents.INDEX,
            "manifests": [one.to_json() for one in (*others, entry)],
        }
        self.put_manifest(json.dumps(index).encode(), _tag(digest))


@contextmanager
def connected(reference: str, *, plain_http: bool = False) -> Iterator[Repository]:
    """The repository of an image's name, while the block runs. Nothing is asked of it yet.

    Raises:
        UsageError: `reference` is no name.
    """
    transport = Transport(names.parse(reference), plain_http=plain_http)
    try:
        with reaper.scratch_folder() as folder:
            yield Repository(transport, folder)
    finally:
        transport.close()


def _described(data: bytes, media_type: str = documents.MANIFEST) -> Descriptor:
    """What is told of a manifest where it is listed."""
    document = documents.parsed(data)
    config, annotations = document.get("config"), document.get("annotations")
    kind = config.get("mediaType") if isinstance(config, dict) else ""
    return Descriptor(
        str(document.get("mediaType") or media_type),
        f"sha256:{hashlib.sha256(data).hexdigest()}",
        len(data),
        annotations=annotations if isinstance(annotations, dict) else {},
        artifact_type=str(document.get("artifactType") or kind or ""),
    )


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
