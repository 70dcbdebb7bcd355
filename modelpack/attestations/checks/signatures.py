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

_SIGNATURE_HINT = "Ask whoever made it for the key that goes with it, or do not run it."


def check_signature(subject: Subject) -> Verdict:
    """The key has signed the image, by the digest of its manifest."""
    beside = subject.beside
    if beside is None:
        return Verdict("signature", "unknown", "none: signatures are kept in a registry")
    count = len(beside.signatures)
    if subject.verifier is None:
        there = f"{count} there, none of them looked at" if count else "there is none"
        return Verdict(
            "signature", "unknown", f"no key given ({there}): nothing says who made this image"
        )
    if not count:
        raise VerificationError(
            f"Nobody has signed the image {beside.digest}.",
            hint="Do not run it, unless you know who made it. Its maker signs it by: modelpack push"
            " REF --key cosign.key",
        )
    if not any(
        cosign.is_signature(part, beside.digest, subject.verifier) for part in beside.signatures
    ):
        raise VerificationError(
            f"The image is signed {count} times, and none of these is by this key and of this"
            " content: it was made or changed by somebody else."
            if count > 1
            else "The image has a signature that is not by this key or not of this content: it was"
            " made or changed by somebody else.",
            hint=_SIGNATURE_HINT,
        )
    return Verdict("signature", "holds", f"by this key, of {beside.digest}")


_ATTACHED_HINT = "Attach what is in the image anew: modelpack push REF"


def check_attached(subject: Subject) -> Verdict:
    """What is attached in the registry says the same as what is in the image."""
    beside = subject.beside
    if beside is None:
        return Verdict("attached", "unknown", "nothing: the image lies in no registry")
    if beside.refused:
        raise beside.refused
    wanted = {sbom.PREDICATE: subject.sbom, provenance.PREDICATE: subject.provenance["predicate"]}
    digest = subject.image.digest or beside.digest
    found = _compared("attached", wanted, list(_attached(beside, digest)))
    signed = _signed(subject, beside.attestations, wanted)
    told = f"{_counted(found)} attached, {_counted(signed)} signed"
    return Verdict("attached", "holds" if found or signed else "unknown", told)


def _signed(subject: Subject, parts: Sequence[Part], wanted: dict[str, Any]) -> int:
    if subject.verifier is None or not parts:
        return 0
    listed = list(cosign.predicates(parts, subject.image.digest or "", subject.verifier))
    if not listed:
        raise VerificationError(
            "The attestations of the image are not by this key or not of this image.",
            hint=_ATTACHED_HINT,
        )
    return _compared("signed", wanted, listed)


def _compared(how: str, wanted: dict[str, Any], found: Sequence[tuple[str, Any]]) -> int:
    """How many of the documents are there.

    Raises:
        VerificationError: there are some of a kind, and none is the one of the image. Others may
            attach documents of their own, so that one is enough.
    """
    kinds = {kind for kind, _ in found} & wanted.keys()
    for kind in kinds:
        if not any(document == wanted[kind] for other, document in found if other == kind):
            raise VerificationError(
                f"What is {how} as {kind} is not what the image holds.", hint=_ATTACHED_HINT
            )
    return len(kinds)


def _attached(beside: AttachedDocuments, digest: str) -> Iterator[tuple[str, Any]]:
    """Type of the predicate, and what it says, of what is attached unsigned."""
    for text in beside.attached.get(SBOM_TYPE, ()):
        yield sbom.PREDICATE, _parsed(text)
    for text in beside.attached.get(STATEMENT_TYPE, ()):
        statement = _parsed(text)
        if isinstance(statement, dict) and cosign.names(statement, digest):
            yield str(statement.get("predicateType")), statement.get("predicate")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _counted(number: int) -> str:
    return {0: "nothing", 1: "one of two documents", 2: "both documents"}[number]
