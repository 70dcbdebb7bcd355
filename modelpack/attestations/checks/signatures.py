"""Signatures and attached documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from modelpack.attestations import cosign, provenance, sbom
from modelpack.attestations.cosign import Part
from modelpack.attestations.documents import SBOM_TYPE, STATEMENT_TYPE
from modelpack.attestations.subject import AttachedDocuments, Subject, Verdict
from modelpack.errors import VerificationError

_SIGNATURE_HINT = "Get the key from the author of the image, or do not run the image."


def check_signature(subject: Subject) -> Verdict:
    """The key has signed the image, by the digest of its manifest."""
    documents = subject.attachments
    if documents is None:
        return Verdict("signature", "unknown", "only a registry stores signatures")
    count = len(documents.signatures)
    if subject.verifier is None:
        existing = f"{count} not verified" if count else "no signature exists"
        return Verdict(
            "signature", "unknown", f"no key given ({existing}): the author is not known"
        )
    if not count:
        raise VerificationError(
            f"The image {documents.digest} is not signed.",
            hint="Do not run it unless you know its author, who can sign it: modelpack push REF"
            " --key cosign.key",
        )
    if not any(
        cosign.is_signature(part, documents.digest, subject.verifier)
        for part in documents.signatures
    ):
        raise VerificationError(
            "No signature of the image is by this key and for this content"
            f" ({count} {'signature' if count == 1 else 'signatures'}).",
            hint=_SIGNATURE_HINT,
        )
    return Verdict("signature", "holds", f"made with this key for {documents.digest}")


_ATTACHED_HINT = "Attach the documents of the image again: modelpack push REF"


def check_attached(subject: Subject) -> Verdict:
    """The documents attached in the registry are those in the image."""
    documents = subject.attachments
    if documents is None:
        return Verdict("attached", "unknown", "the image is not in a registry")
    if documents.refused:
        raise documents.refused
    expected = {sbom.PREDICATE: subject.sbom, provenance.PREDICATE: subject.provenance["predicate"]}
    digest = subject.image.digest or documents.digest
    attached = _count_matches("attached", expected, list(_attached(documents, digest)))
    signed = _count_signed(subject, documents.attestations, expected)
    detail = f"{_counted(attached)} attached, {_counted(signed)} signed"
    return Verdict("attached", "holds" if attached or signed else "unknown", detail)


def _count_signed(subject: Subject, parts: Sequence[Part], expected: dict[str, Any]) -> int:
    if subject.verifier is None or not parts:
        return 0
    listed = list(cosign.predicates(parts, subject.image.digest or "", subject.verifier))
    if not listed:
        raise VerificationError(
            "The attestations of the image are not by this key or not for this image.",
            hint=_ATTACHED_HINT,
        )
    return _count_matches("signed", expected, listed)


def _count_matches(how: str, expected: dict[str, Any], attached: Sequence[tuple[str, Any]]) -> int:
    """Count the kinds of documents that include that of the image. Other users may attach theirs.

    Raises:
        VerificationError: Documents of a kind exist, but none is that of the image.
    """
    kinds = {kind for kind, _ in attached} & expected.keys()
    for kind in kinds:
        if not any(text == expected[kind] for other, text in attached if other == kind):
            raise VerificationError(
                f"The document {how} as {kind} differs from that in the image.", hint=_ATTACHED_HINT
            )
    return len(kinds)


def _attached(documents: AttachedDocuments, digest: str) -> Iterator[tuple[str, Any]]:
    """Yield type and content of the predicates that are attached without a signature."""
    for text in documents.attached.get(SBOM_TYPE, ()):
        yield sbom.PREDICATE, _parse(text)
    for text in documents.attached.get(STATEMENT_TYPE, ()):
        statement = _parse(text)
        if isinstance(statement, dict) and cosign.is_subject(statement, digest):
            yield str(statement.get("predicateType")), statement.get("predicate")


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _counted(number: int) -> str:
    return {0: "nothing", 1: "one of two documents", 2: "both documents"}[number]
