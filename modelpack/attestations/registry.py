"""Attestations in a registry: attached to an image, and found again.

Two conventions are supported: referrers, which any client of the specification lists (image-spec
1.1, manifest.md, and distribution-spec 1.1, "Listing Referrers"), and the tags of cosign.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from modelpack import processes
from modelpack.attestations import cosign, provenance, sbom
from modelpack.attestations.cosign import Part
from modelpack.attestations.documents import PROVENANCE, SBOM, SBOM_LABEL, SBOM_TYPE, STATEMENT_TYPE
from modelpack.attestations.keys import Signer
from modelpack.attestations.subject import APP, AttachedDocuments, labels_of
from modelpack.errors import ModelpackError
from modelpack.oci import Image, filesystem, streams
from modelpack.oci import image as oci_image
from modelpack.oci.image import Descriptor, Store, blob_from_bytes
from modelpack.oci.registry import referrers
from modelpack.oci.registry.client import RemoteStore, Repository, connect
from modelpack.oci.registry.push import upload

_MAX_ENTRIES = 100  # layers with signatures, and referrers, that are read


@dataclass(frozen=True)
class RegistryImage:
    """An image in a registry. `store` keeps fetched blobs until `open_registry_image` ends."""

    repository: Repository
    store: Store

    @property
    def name(self) -> str:
        """The name without a tag, for statements and signatures."""
        return f"{self.repository.name.registry}/{self.repository.name.repository}"


@contextmanager
def open_registry_image(reference: str, *, plain_http: bool = False) -> Iterator[RegistryImage]:
    """Connect to the registry of an image. Raise UsageError if the reference is not valid."""
    with (
        connect(reference, plain_http=plain_http) as repository,
        processes.temporary_directory() as folder,
    ):
        yield RegistryImage(repository, RemoteStore(repository, folder))


def attach_attestations(target: RegistryImage, signer: Signer | None = None) -> bool:
    """Attach the documents of an image to it in its registry, and sign them.

    For an image index, each image is processed. Existing attestations stay unchanged.

    Returns:
        Whether the image contains documents. Images of older versions have none and are only
        signed.

    Raises:
        ModelpackError: The registry refuses, or the image is damaged.
    """
    top, data = target.repository.manifest()
    if signer:
        _sign(target, top.digest, signer)
    index = oci_image.parse_json(data)
    if "manifests" not in index:
        return _attach_documents(target, top, signer)
    listed = oci_image.descriptors(index, "manifests")
    images = [entry for entry in listed if not entry.platform.startswith("unknown/")]
    results = [_attach_documents(target, entry, signer) for entry in images]
    return all(results)


def find_attestations(
    target: RegistryImage, platform: str | None = None
) -> tuple[Image, AttachedDocuments]:
    """Read an image and the documents attached to it.

    An error for the documents is returned in `AttachedDocuments.refused`.

    Raises:
        ModelpackError: The image cannot be read, or does not exist for the platform.
    """
    top, _ = target.repository.manifest()
    image = oci_image.image(target.store, top, platform)
    return image, _attached_documents(target, top.digest, image.digest or top.digest)


def _attached_documents(target: RegistryImage, top_digest: str, digest: str) -> AttachedDocuments:
    """Read the signatures of an index or image, and the documents of one image by its `digest`."""
    documents = AttachedDocuments(top_digest)
    try:
        documents = replace(documents, signatures=_parts(target, top_digest, "sig"))
        documents = replace(documents, attestations=_parts(target, digest, "att"))
        return replace(documents, attached=_referring_documents(target, digest))
    except ModelpackError as error:
        return replace(documents, refused=error)


def _attach_documents(target: RegistryImage, descriptor: Descriptor, signer: Signer | None) -> bool:
    image = oci_image.image(target.store, descriptor)
    if signer:
        _sign(target, descriptor.digest, signer)
    if SBOM_LABEL not in labels_of(image):
        return False
    bom, source = (filesystem.read(image, f"{APP}{name}") for name in (SBOM, PROVENANCE))
    predicate = oci_image.parse_json(source).get("predicate")
    if not isinstance(predicate, dict):
        raise oci_image.malformed(f"its {PROVENANCE} has no predicate")
    subject = cosign.subject(target.name, descriptor.digest)
    statement = provenance.create_statement([subject], provenance.PREDICATE, predicate)
    for kind, text in ((SBOM_TYPE, bom), (STATEMENT_TYPE, _json(statement))):
        referrers.attach(target.repository, descriptor, kind, [blob_from_bytes(text, kind)])
    if signer:
        predicates = {sbom.PREDICATE: oci_image.parse_json(bom), provenance.PREDICATE: predicate}
        _sign_predicates(target, descriptor.digest, predicates, signer)
    return True


def _referring_documents(target: RegistryImage, digest: str) -> dict[str, list[bytes]]:
    """Return the contents of referrers by their type."""
    texts: dict[str, list[bytes]] = {}
    for referrer in referrers.referrers(target.repository, digest)[:_MAX_ENTRIES]:
        if referrer.artifact_type in {SBOM_TYPE, STATEMENT_TYPE}:
            _, data = target.repository.manifest(referrer.digest)
            layers = oci_image.descriptors(oci_image.parse_json(data), "layers")
            contents = [_read_layer(target, layer) for layer in layers]
            texts.setdefault(referrer.artifact_type, []).extend(contents)
    return texts


# --- cosign's tags -------------------------------------------------------------------------------


def _sign(target: RegistryImage, digest: str, signer: Signer) -> None:
    existing = _parts(target, digest, "sig")
    if not any(cosign.is_signature(part, digest, signer.verifier) for part in existing):
        _store_parts(
            target, digest, "sig", [*existing, cosign.create_signature(target.name, digest, signer)]
        )


def _sign_predicates(
    target: RegistryImage, digest: str, predicates: Mapping[str, Any], signer: Signer
) -> None:
    """Sign these predicates, by type, unless they are signed already."""
    existing = _parts(target, digest, "att")
    known = list(cosign.predicates(existing, digest, signer.verifier))
    missing = [
        cosign.create_attestation(target.name, digest, predicate, signer)
        for predicate in predicates.items()
        if predicate not in known
    ]
    if missing:
        _store_parts(target, digest, "att", [*existing, *missing])


def _parts(target: RegistryImage, digest: str, kind: str) -> list[Part]:
    manifest = target.repository.find_manifest(cosign.tag(digest, kind))
    if manifest is None:
        return []
    layers = oci_image.descriptors(oci_image.parse_json(manifest[1]), "layers")[:_MAX_ENTRIES]
    return [
        Part(layer.media_type, _read_layer(target, layer), layer.annotations) for layer in layers
    ]


def _store_parts(target: RegistryImage, digest: str, kind: str, parts: Sequence[Part]) -> None:
    blobs = [blob_from_bytes(part.content, part.media_type) for part in parts]
    layers = [
        Descriptor(blob.media_type, blob.digest, blob.size, annotations=part.annotations)
        for blob, part in zip(blobs, parts, strict=True)
    ]
    config = blob_from_bytes(cosign.config([layer.digest for layer in layers]), oci_image.CONFIG)
    for blob in (config, *blobs):
        upload(target.repository, blob, lambda *_: None)
    pointer = Descriptor(config.media_type, config.digest, config.size)
    manifest = cosign.manifest(pointer.to_json(), [layer.to_json() for layer in layers])
    target.repository.put_manifest(manifest, oci_image.MANIFEST, cosign.tag(digest, kind))


def _read_layer(target: RegistryImage, layer: Descriptor) -> bytes:
    """Read a document. Raise UsageError if the layer is damaged, or too large for a document."""
    if layer.size > streams.DOCUMENT:
        raise oci_image.malformed(f"a document has more than {streams.DOCUMENT} bytes")
    with target.store.blob(layer) as stream:
        return oci_image.require_digest(stream.read(streams.DOCUMENT + 1), layer.digest)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
