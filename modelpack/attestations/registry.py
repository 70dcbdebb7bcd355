"""Attached to, and found beside, an image in its registry.

Two conventions are served: referrers, which any client of the specification lists (image-spec 1.1,
manifest.md, and distribution-spec 1.1, "Listing Referrers"), and cosign's tags, which its commands
verify.
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

_MOST = 100  # layers of signatures, and referrers, that are looked at


@dataclass(frozen=True)
class RegistryImage:
    """Where an image lies in a registry. `store`: keeps what was fetched while the place is
    open.
    """

    repository: Repository
    store: Store

    @property
    def name(self) -> str:
        """Without a tag: as statements and signatures name it."""
        return f"{self.repository.name.registry}/{self.repository.name.repository}"


@contextmanager
def open_registry_image(reference: str, *, plain_http: bool = False) -> Iterator[RegistryImage]:
    """Raises:
    UsageError: `reference` is not a valid image reference.
    """
    with (
        connect(reference, plain_http=plain_http) as repository,
        processes.temporary_directory() as folder,
    ):
        yield RegistryImage(repository, RemoteStore(repository, folder))


def attach_attestations(place: RegistryImage, signer: Signer | None = None) -> bool:
    """Attaches to the image that the place's name leads to what it holds of documents, and signs
    both; of an image for several platforms, to each. What is there already stays as it is. Returns
    whether there are documents: images of older versions have none, and are signed alone.

    Raises:
        ModelpackError: the registry refuses, or the image is damaged.
    """
    named, data = place.repository.manifest()
    if signer:
        _sign(place, named.digest, signer)
    index = oci_image.parse_json(data)
    if "manifests" not in index:
        return _vouch(place, named, signer)
    listed = oci_image.descriptors(index, "manifests")
    images = [entry for entry in listed if not entry.platform.startswith("unknown/")]
    there = [_vouch(place, entry, signer) for entry in images]
    return all(there)


def find_attestations(
    place: RegistryImage, platform: str | None = None
) -> tuple[Image, AttachedDocuments]:
    """The image that the place's name leads to, and what is beside it: what cannot be had of that
    is told of there.

    Raises:
        ModelpackError: the image cannot be had, or there is none of the platform.
    """
    named, _ = place.repository.manifest()
    image = oci_image.image(place.store, named, platform)
    return image, _beside(place, named.digest, image.digest or named.digest)


def _beside(place: RegistryImage, named: str, digest: str) -> AttachedDocuments:
    """`named`: of an index, where there is one; `digest`: of the image's own manifest."""
    there = AttachedDocuments(named)
    try:
        there = replace(there, signatures=_parts(place, named, "sig"))
        there = replace(there, attestations=_parts(place, digest, "att"))
        return replace(there, attached=_attached(place, digest))
    except ModelpackError as error:
        return replace(there, refused=error)


def _vouch(place: RegistryImage, descriptor: Descriptor, signer: Signer | None) -> bool:
    image = oci_image.image(place.store, descriptor)
    if signer:
        _sign(place, descriptor.digest, signer)
    if SBOM_LABEL not in labels_of(image):
        return False
    bill, told = (filesystem.read(image, f"{APP}{name}") for name in (SBOM, PROVENANCE))
    predicate = oci_image.parse_json(told).get("predicate")
    if not isinstance(predicate, dict):
        raise oci_image.malformed(f"its {PROVENANCE} has no predicate")
    subject = cosign.subject(place.name, descriptor.digest)
    statement = provenance.of_subjects([subject], provenance.PREDICATE, predicate)
    for kind, text in ((SBOM_TYPE, bill), (STATEMENT_TYPE, _json(statement))):
        referrers.attach(place.repository, descriptor, kind, [blob_from_bytes(text, kind)])
    if signer:
        wanted = {sbom.PREDICATE: oci_image.parse_json(bill), provenance.PREDICATE: predicate}
        _attest(place, descriptor.digest, wanted, signer)
    return True


def _attached(place: RegistryImage, digest: str) -> dict[str, list[bytes]]:
    """By their type."""
    texts: dict[str, list[bytes]] = {}
    for referrer in referrers.referrers(place.repository, digest)[:_MOST]:
        if referrer.artifact_type in {SBOM_TYPE, STATEMENT_TYPE}:
            _, data = place.repository.manifest(referrer.digest)
            layers = oci_image.descriptors(oci_image.parse_json(data), "layers")
            contents = [_content(place, layer) for layer in layers]
            texts.setdefault(referrer.artifact_type, []).extend(contents)
    return texts


# --- cosign's tags -------------------------------------------------------------------------------


def _sign(place: RegistryImage, digest: str, signer: Signer) -> None:
    there = _parts(place, digest, "sig")
    if not any(cosign.is_signature(part, digest, signer.verifier) for part in there):
        _keep(place, digest, "sig", [*there, cosign.signed(place.name, digest, signer)])


def _attest(place: RegistryImage, digest: str, wanted: Mapping[str, Any], signer: Signer) -> None:
    """`wanted`: predicates by their type."""
    there = _parts(place, digest, "att")
    known = list(cosign.predicates(there, digest, signer.verifier))
    missing = [
        cosign.attested(place.name, digest, predicate, signer)
        for predicate in wanted.items()
        if predicate not in known
    ]
    if missing:
        _keep(place, digest, "att", [*there, *missing])


def _parts(place: RegistryImage, digest: str, kind: str) -> list[Part]:
    manifest = place.repository.find_manifest(cosign.tag(digest, kind))
    if manifest is None:
        return []
    layers = oci_image.descriptors(oci_image.parse_json(manifest[1]), "layers")[:_MOST]
    return [Part(layer.media_type, _content(place, layer), layer.annotations) for layer in layers]


def _keep(place: RegistryImage, digest: str, kind: str, parts: Sequence[Part]) -> None:
    blobs = [blob_from_bytes(part.content, part.media_type) for part in parts]
    layers = [
        Descriptor(blob.media_type, blob.digest, blob.size, annotations=part.annotations)
        for blob, part in zip(blobs, parts, strict=True)
    ]
    config = blob_from_bytes(cosign.config([layer.digest for layer in layers]), oci_image.CONFIG)
    for blob in (config, *blobs):
        upload(place.repository, blob, lambda *_: None)
    pointer = Descriptor(config.media_type, config.digest, config.size)
    manifest = cosign.manifest(pointer.to_json(), [layer.to_json() for layer in layers])
    place.repository.put_manifest(manifest, oci_image.MANIFEST, cosign.tag(digest, kind))


def _content(place: RegistryImage, layer: Descriptor) -> bytes:
    """Raises UsageError: it is damaged, or too large for a document."""
    if layer.size > streams.DOCUMENT:
        raise oci_image.malformed(f"a document has more than {streams.DOCUMENT} bytes")
    with place.store.blob(layer) as stream:
        return oci_image.require_digest(stream.read(streams.DOCUMENT + 1), layer.digest)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
