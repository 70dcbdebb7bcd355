"""Referrers of an image.

Source: opencontainers/distribution-spec 1.1, spec.md, "Listing Referrers" and "Referrers Tag
Schema"; image-spec, manifest.md, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urljoin

from modelpack.oci import image
from modelpack.oci.image import Blob, Descriptor, blob_from_bytes
from modelpack.oci.registry.client import Repository, digest_of
from modelpack.oci.registry.push import upload

EMPTY = "application/vnd.oci.empty.v1+json"
_PAGES = 100


def referrers(repository: Repository, digest: str, artifact_type: str = "") -> list[Descriptor]:
    """List the manifests whose subject has this digest.

    A registry without such a list has a tag with the same content.

    Raises:
        UsageError, BuildFailedError: The registry cannot be reached, denies access or fails.
    """
    path = repository.path(f"referrers/{digest}")
    if artifact_type:
        path += f"?artifactType={quote(artifact_type)}"
    found = list(_listed(repository, path)) or _tagged(repository, digest)
    return [entry for entry in found if artifact_type in {"", entry.artifact_type}]


def attach(
    repository: Repository,
    subject: Descriptor,
    artifact_type: str,
    contents: Sequence[Blob],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Push an artifact that refers to the existing manifest `subject`.

    Raises:
        UsageError, BuildFailedError: The registry rejects it.
    """
    config = blob_from_bytes(b"{}", EMPTY)
    for blob in (config, *contents):
        upload(repository, blob, lambda *_: None)
    manifest = {
        "schemaVersion": 2,
        "mediaType": image.MANIFEST,
        "artifactType": artifact_type,
        "config": _pointer(config).to_json(),
        "layers": [_pointer(blob).to_json() for blob in contents],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    data = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    artifact = Descriptor(
        image.MANIFEST,
        digest_of(data),
        len(data),
        annotations=annotations or {},
        artifact_type=artifact_type,
    )
    if not repository.put_manifest(data, image.MANIFEST):
        _list_by_tag(repository, subject.digest, artifact)
    return artifact


def _pointer(blob: Blob) -> Descriptor:
    return Descriptor(blob.media_type, blob.digest, blob.size)


def _listed(repository: Repository, path: str) -> Iterator[Descriptor]:
    """Yield the entries of the registry's list, page by page."""
    for _ in range(_PAGES):
        with repository.transport.request("GET", path, {200, 400, 404, 405}) as answer:
            if answer.status_code != 200:
                return
            data = repository.transport.read(answer)
            following = answer.links.get("next", {}).get("url")
        yield from image.descriptors(image.parse_json(data), "manifests")
        if not following:
            return
        path = urljoin(answer.url, following)


def _tagged(repository: Repository, digest: str) -> list[Descriptor]:
    found = repository.find_manifest(_tag(digest))
    return image.descriptors(image.parse_json(found[1]), "manifests") if found else []


def _list_by_tag(repository: Repository, digest: str, entry: Descriptor) -> None:
    """Add `entry` to the list of the tag. Of two concurrent changes, the last one wins."""
    others = [other for other in _tagged(repository, digest) if other.digest != entry.digest]
    index: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": image.INDEX,
        "manifests": [one.to_json() for one in (*others, entry)],
    }
    data = json.dumps(index, sort_keys=True, separators=(",", ":")).encode()
    repository.put_manifest(data, image.INDEX, _tag(digest))


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
