"""What is attached in the registry says the same as what is in the image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from modelpack.attest import cosign, provenance, sbom
from modelpack.attest.cosign import Part
from modelpack.attest.made import SBOM_TYPE, STATEMENT_TYPE
from modelpack.attest.subject import Beside, Subject, Verdict
from modelpack.errors import NotVouchedError

_HINT = "Attach what is in the image anew: modelpack push REF"


def check(subject: Subject) -> Verdict:
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
        raise NotVouchedError(
            "The attestations of the image are not by this key or not of this image.", hint=_HINT
        )
    return _compared("signed", wanted, listed)


def _compared(how: str, wanted: dict[str, Any], found: Sequence[tuple[str, Any]]) -> int:
    """How many of the documents are there.

    Raises:
        NotVouchedError: there are some of a kind, and none is the one of the image. Others may
            attach documents of their own, so that one is enough.
    """
    kinds = {kind for kind, _ in found} & wanted.keys()
    for kind in kinds:
        if not any(document == wanted[kind] for other, document in found if other == kind):
            raise NotVouchedError(
                f"What is {how} as {kind} is not what the image holds.", hint=_HINT
            )
    return len(kinds)


def _attached(beside: Beside, digest: str) -> Iterator[tuple[str, Any]]:
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
