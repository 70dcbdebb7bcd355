"""cosign's formats: signatures, attestations, DSSE envelopes.

A signature signs a small document ("simple signing") with the digest of the image. An attestation
is a statement in a DSSE envelope. No transparency log is used.

Source: github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md, and the
output of cosign 2.5.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelpack.attestations.documents import STATEMENT_TYPE
from modelpack.attestations.keys import Signer, Verifier
from modelpack.attestations.provenance import create_statement
from modelpack.oci import image

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
PREDICATE_TYPE = "predicateType"
_TYPE = "cosign container image signature"
_NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Part:
    """A layer of an image with signatures or attestations."""

    media_type: str
    content: bytes
    annotations: Mapping[str, str]


def tag(digest: str, kind: str) -> str:
    """Return the tag of the signatures (kind "sig") or attestations ("att") of an image."""
    return f"{digest.replace(':', '-')}.{kind}"


def create_signature(repository: str, digest: str, signer: Signer) -> Part:
    """Sign the digest of an image's manifest."""
    payload = {
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest},
            "type": _TYPE,
        },
        "optional": None,
    }
    content = _json(payload)
    signature = base64.b64encode(signer.sign(content)).decode()
    return Part(SIMPLE_SIGNING, content, {SIGNATURE: signature})


def is_signature(part: Part, digest: str, verifier: Verifier) -> bool:
    """Return whether the key has signed this digest."""
    try:
        signature = base64.b64decode(part.annotations[SIGNATURE], validate=True)
        critical = json.loads(part.content)["critical"]
        named = critical["image"]["docker-manifest-digest"], critical["type"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return named == (digest, _TYPE) and verifier.accepts(part.content, signature)


def create_attestation(
    repository: str, digest: str, predicate: tuple[str, Mapping[str, Any]], signer: Signer
) -> Part:
    """Sign a predicate, given as type and content, about an image."""
    statement = create_statement([subject(repository, digest)], *predicate)
    envelope = sign_envelope(statement, signer)
    return Part(MEDIA_TYPE, envelope, {SIGNATURE: "", PREDICATE_TYPE: predicate[0]})


def subject(repository: str, digest: str) -> dict[str, Any]:
    """Return the subject of a statement about an image."""
    algorithm, _, value = digest.partition(":")
    return {"name": repository, "digest": {algorithm: value}}


def predicates(
    parts: Sequence[Part], digest: str, verifier: Verifier
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield type and content of each predicate that the key has signed for the image."""
    for part in parts:
        statement = verify_envelope(part.content, verifier)
        if statement and is_subject(statement, digest):
            predicate = statement.get("predicate")
            if isinstance(predicate, dict):
                yield str(statement.get("predicateType")), predicate


def is_subject(statement: Mapping[str, Any], digest: str) -> bool:
    """Return whether the statement is about the image with this digest."""
    algorithm, _, value = digest.partition(":")
    subjects = statement.get("subject")
    return isinstance(subjects, list) and any(
        isinstance(subject, dict)
        and isinstance(subject.get("digest"), dict)
        and subject["digest"].get(algorithm) == value
        for subject in subjects
    )


def config(layers: Sequence[str]) -> bytes:
    """Return an empty configuration for layers with these digests."""
    return _json(
        {
            "architecture": "",
            "created": _NEVER,
            "history": [{"created": _NEVER} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": list(layers)},
            "config": {},
        }
    )


def manifest(config: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> bytes:
    """Return a manifest of these descriptors."""
    return _json(
        {"schemaVersion": 2, "mediaType": image.MANIFEST, "config": config, "layers": list(layers)}
    )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


# Source: github.com/secure-systems-lab/dsse, envelope.md and protocol.md.
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"


def sign_envelope(statement: Mapping[str, Any], signer: Signer) -> bytes:
    payload = json.dumps(statement, ensure_ascii=True, separators=(",", ":")).encode()
    signature = base64.b64encode(signer.sign(_signed_bytes(payload))).decode()
    signed = {
        "payloadType": STATEMENT_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": "", "sig": signature}],
    }
    return json.dumps(signed, separators=(",", ":")).encode()


def verify_envelope(envelope: bytes, verifier: Verifier) -> dict[str, Any] | None:
    """Return the statement if the envelope is valid and signed by the key."""
    try:
        document = json.loads(envelope)
        payload = base64.b64decode(document["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"]) for entry in document["signatures"]]
        if document["payloadType"] != STATEMENT_TYPE:
            return None
        if not any(verifier.accepts(_signed_bytes(payload), signature) for signature in signatures):
            return None
        statement = json.loads(payload)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return statement if isinstance(statement, dict) else None


def _signed_bytes(payload: bytes) -> bytes:
    """Return the signed bytes: type and payload, so that no type can replace another."""
    kind = STATEMENT_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
