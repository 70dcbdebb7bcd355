"""What images claim of their tests, as labels and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelpack.types import Parity, Proof, Reference

LABEL = "dev.modelpack.parity"
PROOF_LABELS = {
    "dev.modelpack.compiled.rows": "rows",
    "dev.modelpack.compiled.ulp": "largest_ulp",
    "dev.modelpack.compiled.bound": "bound_ulp",
}
"""Labels of a compiled model, and the attributes of its `Proof`."""
UNTESTED = Parity("untested", 0, (), 0.0, None, passed=False)
"""No prediction was tested, and the user accepted that."""


@dataclass(frozen=True)
class Claim:
    """What an image claims.

    Attributes:
        parity: The service returns the predictions of the model.
        proof: The compiled model is equal to the model that it was made from.
    """

    parity: Parity | None = None
    proof: Proof | None = None


NO_CLAIM = Claim()


SOURCES: Mapping[str, str] = {
    "expected": "the expected predictions",
    "record": "the predictions recorded in training",
    "model": "the predictions of the model in a sandbox",
}
"""What is compared with, by the `source` of a `Reference` and of a `Parity`."""


def expected_claim(reference: Reference) -> Parity:
    """Return the claim of an image that passes the smoke test with this reference."""
    if not reference.rows:
        return UNTESTED
    rows = len(reference.rows)
    tolerance = max(reference.tolerance, reference.precision)
    return Parity(reference.source, rows, (), tolerance, 0.0, passed=True)


def parity_labels(claim: Parity | None) -> dict[str, str]:
    """Return the labels of an image."""
    if claim is None:
        return {}
    if claim.source == UNTESTED.source:
        return {LABEL: UNTESTED.source}
    return {
        LABEL: f"within {claim.tolerance:g}" if claim.tolerance else "exact",
        f"{LABEL}.reference": claim.source,
        f"{LABEL}.rows": str(claim.rows),
    }


def parity_text(claim: Parity | None) -> str:
    """Return the text for the page of the service, which is part of the image id.

    Such as "equal bit for bit to the expected predictions (17 rows)".
    """
    if claim is None:
        return ""
    if claim.source == UNTESTED.source:
        return "untested: no prediction was tested, as no rows were known"
    how = f"within {claim.tolerance:g}" if claim.tolerance else "bit for bit"
    source = SOURCES.get(claim.source, claim.source)
    return f"equal {how} to {source} ({claim.rows} row{'' if claim.rows == 1 else 's'})"


def proof_labels(proof: Proof | None) -> dict[str, str]:
    """Return the labels of an image with a compiled model."""
    if proof is None:
        return {}
    return {label: f"{getattr(proof, name):g}" for label, name in PROOF_LABELS.items()}


def proof_text(proof: Proof | None) -> str:
    """Return the text for the page of the service, such as "the same bits as the model itself
    (2,008 rows)".
    """
    if proof is None:
        return ""
    same = f"within {proof.largest_ulp:g} ulp of" if proof.largest_ulp else "the same bits as"
    bound = f", at most {proof.bound_ulp:g} ulp are accepted" if proof.largest_ulp else ""
    return f"{same} the model itself ({proof.rows:,} rows{bound})"


def labels(claim: Claim) -> dict[str, str]:
    """Return all labels of a claim."""
    return {**parity_labels(claim.parity), **proof_labels(claim.proof)}


def is_label(name: str) -> bool:
    """Return whether a label of an image belongs to a claim."""
    return name.startswith(LABEL) or name in PROOF_LABELS


def is_same_claim(claimed: Claim, confirmed: Claim) -> bool:
    """Return whether both have the same labels, so that the bundle can stay as rendered."""
    return labels(claimed) == labels(confirmed)
