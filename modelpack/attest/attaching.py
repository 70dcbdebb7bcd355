"""Attaches the documents of an image to it in its registry, signs it there, and finds both again.

Two conventions are served: referrers, which any client of the specification lists (image-spec 1.1,
manifest.md, and distribution-spec 1.1, "Listing Referrers"), and cosign's tags, which its commands
verify.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, Any, Protocol

from modelpack.attest import cosign, dsse, provenance, sbom
from modelpack.attest.cosign import Part
from modelpack.attest.keys import Signer
from modelpack.attest.made import PROVENANCE, SBOM
from modelpack.attest.subject import Beside
from modelpack.errors import ModelpackError
from modelpack.oci import documents, limits
from modelpack.oci.documents import Descriptor

SBOM_TYPE = "application/vnd.cyclonedx+json"
STATEMENT_TYPE = dsse.IN_TOTO
_EMPTY = "application/vnd.oci.empty.v1+json"
_TITLE = "org.opencontainers.image.title"
_MOST = 100  # layers of signatures, and referrers, that are looked at


class Repository(Protocol):
    """A repository of a registry: `modelpack.oci.registry` has it. `name`: with its host."""

    name: str

    def find(self, reference: str) -> Descriptor | None: ...
    def manifest(self, descriptor: Descriptor) -> bytes: ...
    def blob(self, descriptor: Descriptor) -> AbstractContextManager[IO[bytes]]: ...
    def put_blob(self, data: bytes, media_type: str) -> Descriptor: ...
    def put_manifest(self, data: bytes, tag: str | None = None) -> Descriptor: ...
    def referrers(self, digest: str) -> Sequence[tuple[str, Descriptor]]: ...


def attach(repository: Repository, digest: str, texts: Mapping[str, bytes]) -> None:
    """`digest`: of the image's manifest. `texts`: of the image's documents, by their names in it.

    Raises:
        ModelpackError: the registry refuses, or a document is none.
    """
    subject = repository.find(digest)
    if subject is None:
        raise documents.malformed(f"its registry has no {digest}")
    told = documents.parsed(texts[PROVENANCE])["predicate"]
    statement = provenance.of_subjects([_named(repository, digest)], provenance.PREDICATE, told)
    _attach(repository, subject, (SBOM, SBOM_TYPE, texts[SBOM]))
    _attach(repository, subject, (PROVENANCE, STATEMENT_TYPE, _json(statement)))


def sign(repository: Repository, digest: str, texts: Mapping[str, bytes], signer: Signer) -> None:
    """Signs the image, and what its documents tell of it. What the key has signed already stays as
    it is, and so does what others have signed.

    Raises:
        ModelpackError: the registry refuses, or a document is none.
    """
    bill = documents.parsed(texts[SBOM])
    told = documents.parsed(texts[PROVENANCE])["predicate"]
    wanted = {sbom.PREDICATE: bill, provenance.PREDICATE: told}
    signatures, attestations = (_parts(repository, digest, kind) for kind in ("sig", "att"))
    key = signer.verifier
    if not any(cosign.is_signature(part, digest, key) for part in signatures):
        signature = cosign.signed(repository.name, digest, signer)
        _keep(repository, digest, "sig", [*signatures, signature])
    there = list(cosign.predicates(attestations, digest, key))
    missing = [predicate for predicate in wanted.items() if predicate not in there]
    if missing:
        added = [cosign.attested(repository.name, digest, entry, signer) for entry in missing]
        _keep(repository, digest, "att", [*attestations, *added])


def beside(repository: Repository, digest: str) -> Beside:
    """What is beside the image of that digest. What cannot be had is told of there."""
    signatures: Sequence[Part] = ()
    attestations: Sequence[Part] = ()
    try:
        signatures = _parts(repository, digest, "sig")
        attestations = _parts(repository, digest, "att")
        attached = _attached(repository, digest)
    except ModelpackError as error:
        return Beside(digest, signatures, attestations, refused=error)
    return Beside(digest, signatures, attestations, attached)


# --- referrers -----------------------------------------------------------------------------------


def _attach(repository: Repository, subject: Descriptor, document: tuple[str, str, bytes]) -> None:
    """The same document is the same manifest: attached once more, nothing is added."""
    name, kind, text = document
    layer = {**_pointer(repository.put_blob(text, kind)), "annotations": {_TITLE: name}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "artifactType": kind,
        "config": _pointer(repository.put_blob(b"{}", _EMPTY)),
        "layers": [layer],
        "subject": _pointer(subject),
    }
    repository.put_manifest(_json(manifest))


def _attached(repository: Repository, digest: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for kind, descriptor in repository.referrers(digest)[:_MOST]:
        if kind in {SBOM_TYPE, STATEMENT_TYPE}:
            manifest = _read(repository, descriptor)
            layers = documents.descriptors(manifest, "layers")
            found.setdefault(kind, []).extend(_content(repository, layer) for layer in layers)
    return found


# --- cosign's tags -------------------------------------------------------------------------------


def _parts(repository: Repository, digest: str, kind: str) -> list[Part]:
    descriptor = repository.find(cosign.tag(digest, kind))
    if descriptor is None:
        return []
    layers = documents.descriptors(_read(repository, descriptor), "layers")[:_MOST]
    return [
        Part(layer.media_type, _content(repository, layer), layer.annotations) for layer in layers
    ]


def _keep(repository: Repository, digest: str, kind: str, parts: Sequence[Part]) -> None:
    layers = [
        {
            **_pointer(repository.put_blob(part.content, part.media_type)),
            "annotations": dict(part.annotations),
        }
        for part in parts
    ]
    config = cosign.config([layer["digest"] for layer in layers])
    told = _pointer(repository.put_blob(config, documents.CONFIG))
    repository.put_manifest(cosign.manifest(told, layers), cosign.tag(digest, kind))


# --- documents -----------------------------------------------------------------------------------


def _read(repository: Repository, descriptor: Descriptor) -> dict[str, Any]:
    text = repository.manifest(descriptor)
    return documents.parsed(documents.verified(text, descriptor.digest))


def _content(repository: Repository, layer: Descriptor) -> bytes:
    with repository.blob(layer) as stream:
        return documents.verified(stream.read(limits.DOCUMENT + 1), layer.digest)


def _named(repository: Repository, digest: str) -> dict[str, Any]:
    algorithm, _, value = digest.partition(":")
    return {"name": repository.name, "digest": {algorithm: value}}


def _pointer(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()
