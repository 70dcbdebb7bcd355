"""Attaches the documents of an image to it in its registry, signs it there, and finds both again.

Two conventions are served: referrers, which any client of the specification lists (image-spec 1.1,
manifest.md, and distribution-spec 1.1, "Listing Referrers"), and cosign's tags, which its commands
verify.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelpack.attest import cosign, dsse, provenance, sbom
from modelpack.attest.cosign import Part
from modelpack.attest.keys import Signer
from modelpack.attest.made import PROVENANCE, SBOM
from modelpack.attest.subject import APP, Beside
from modelpack.errors import ModelpackError
from modelpack.oci import Image, documents, failures, limits, tree
from modelpack.oci.documents import Descriptor
from modelpack.oci.registry import Repository

SBOM_TYPE = "application/vnd.cyclonedx+json"
STATEMENT_TYPE = dsse.IN_TOTO
_EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_MOST = 100  # layers of signatures, and referrers, that are looked at


def vouch(repository: Repository, signer: Signer | None = None) -> None:
    """Attaches to the image of the repository's name what it holds of documents, and signs both; of
    an image for several platforms, to each. What is there already stays as it is.

    Raises:
        ModelpackError: the registry refuses, or the image is none of modelpack.
    """
    named = _named(repository)
    index = documents.parsed(repository.manifest(named))
    if "manifests" not in index:
        _vouch(repository, named, signer)
        return
    for descriptor in documents.descriptors(index, "manifests"):
        if not descriptor.platform.startswith("unknown/"):
            _vouch(repository, descriptor, signer)
    if signer:
        _sign(repository, named.digest, signer)


def found(repository: Repository, platform: str | None = None) -> tuple[Image, Beside]:
    """The image of the repository's name, and what is beside it: what cannot be had of that is told
    of there.

    Raises:
        ModelpackError: the image cannot be had, or there is none of the platform.
    """
    named = _named(repository)
    image = documents.image(repository, named, platform)
    return image, _beside(repository, named.digest, image.digest or named.digest)


def _beside(repository: Repository, named: str, digest: str) -> Beside:
    """`named`: of an index, where there is one; `digest`: of the image's own manifest."""
    there = Beside(named)
    try:
        there = replace(there, signatures=_parts(repository, named, "sig"))
        there = replace(there, attestations=_parts(repository, digest, "att"))
        return replace(there, attached=_attached(repository, digest))
    except ModelpackError as error:
        return replace(there, refused=error)


def _vouch(repository: Repository, descriptor: Descriptor, signer: Signer | None) -> None:
    image = documents.image(repository, descriptor)
    bill, told = (tree.read(image, f"{APP}{name}") for name in (SBOM, PROVENANCE))
    predicate = documents.parsed(told).get("predicate")
    if not isinstance(predicate, dict):
        raise documents.malformed(f"its {PROVENANCE} has no predicate")
    subject = cosign.subject(repository.name, descriptor.digest)
    statement = provenance.of_subjects([subject], provenance.PREDICATE, predicate)
    _attach(repository, descriptor, (SBOM, SBOM_TYPE, bill))
    _attach(repository, descriptor, (PROVENANCE, STATEMENT_TYPE, _json(statement)))
    if signer:
        _sign(repository, descriptor.digest, signer)
        wanted = {sbom.PREDICATE: documents.parsed(bill), provenance.PREDICATE: predicate}
        _attest(repository, descriptor.digest, wanted, signer)


def _named(repository: Repository) -> Descriptor:
    named = repository.find()
    if named is None:
        raise failures.absent(repository.image, repository.image.reference)
    return named


# --- referrers -----------------------------------------------------------------------------------


def _attach(repository: Repository, subject: Descriptor, document: tuple[str, str, bytes]) -> None:
    """The same document is the same manifest: attached once more, nothing is added."""
    name, kind, text = document
    layer = replace(repository.put_blob(text, kind), annotations={_TITLE: name})
    manifest = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "artifactType": kind,
        "config": repository.put_blob(b"{}", _EMPTY).to_json(),
        "layers": [layer.to_json()],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
    }
    repository.put_manifest(_json(manifest))


def _attached(repository: Repository, digest: str) -> dict[str, list[bytes]]:
    """By their type."""
    texts: dict[str, list[bytes]] = {}
    for kind, referrer in repository.referrers(digest)[:_MOST]:
        if kind in {SBOM_TYPE, STATEMENT_TYPE}:
            manifest = documents.parsed(repository.manifest(referrer))
            layers = documents.descriptors(manifest, "layers")
            contents = [_content(repository, layer) for layer in layers]
            texts.setdefault(kind, []).extend(contents)
    return texts


# --- cosign's tags -------------------------------------------------------------------------------


def _sign(repository: Repository, digest: str, signer: Signer) -> None:
    there = _parts(repository, digest, "sig")
    if not any(cosign.is_signature(part, digest, signer.verifier) for part in there):
        _keep(repository, digest, "sig", [*there, cosign.signed(repository.name, digest, signer)])


def _attest(repository: Repository, digest: str, wanted: Mapping[str, Any], signer: Signer) -> None:
    """`wanted`: predicates by their type."""
    there = _parts(repository, digest, "att")
    known = list(cosign.predicates(there, digest, signer.verifier))
    missing = [
        cosign.attested(repository.name, digest, predicate, signer)
        for predicate in wanted.items()
        if predicate not in known
    ]
    if missing:
        _keep(repository, digest, "att", [*there, *missing])


def _parts(repository: Repository, digest: str, kind: str) -> list[Part]:
    descriptor = repository.find(cosign.tag(digest, kind))
    if descriptor is None:
        return []
    manifest = documents.parsed(repository.manifest(descriptor))
    layers = documents.descriptors(manifest, "layers")[:_MOST]
    return [
        Part(layer.media_type, _content(repository, layer), layer.annotations) for layer in layers
    ]


def _keep(repository: Repository, digest: str, kind: str, parts: Sequence[Part]) -> None:
    layers = [
        replace(repository.put_blob(part.content, part.media_type), annotations=part.annotations)
        for part in parts
    ]
    config = cosign.config([layer.digest for layer in layers])
    pointer = repository.put_blob(config, documents.CONFIG).to_json()
    manifest = cosign.manifest(pointer, [layer.to_json() for layer in layers])
    repository.put_manifest(manifest, cosign.tag(digest, kind))


def _content(repository: Repository, layer: Descriptor) -> bytes:
    """Raises UsageError: it is damaged, or too large for a document."""
    if layer.size > limits.DOCUMENT:
        raise documents.malformed(f"a document has more than {limits.DOCUMENT} bytes")
    with repository.blob(layer) as stream:
        return documents.verified(stream.read(limits.DOCUMENT + 1), layer.digest)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
