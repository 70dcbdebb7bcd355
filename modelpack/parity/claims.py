"""Parity claims of images, as labels and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelpack.types import Parity, Reference

LABEL = "dev.modelpack.parity"
UNTESTED = Parity("untested", 0, (), 0.0, None, passed=False)
"""No prediction was tested, and the user accepted that."""


@dataclass(frozen=True)
class Source:
    """Wordings for a source of expected answers.

    Attributes:
        label: For `MODELPACK_PARITY`, which is part of the image id.
        detail: For the report of the smoke test.
    """

    label: str
    detail: str


SOURCES: Mapping[str, Source] = {
    "expected": Source("what was expected of it", "the expected predictions"),
    "record": Source(
        "what the model said where it was trained", "the predictions recorded in training"
    ),
    "model": Source(
        "what the model says without the service", "the predictions of the model in a sandbox"
    ),
}
"""By the `source` of a `Reference` and of a `Parity`."""


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
    """Return the text for the page of the service, such as "bit for bit what was expected of it
    (17 rows)".
    """
    if claim is None:
        return ""
    if claim.source == UNTESTED.source:
        return "untested: no prediction was tested, as no rows were known"
    how = f"within {claim.tolerance:g} of" if claim.tolerance else "bit for bit"
    source = SOURCES[claim.source].label if claim.source in SOURCES else claim.source
    return f"{how} {source} ({claim.rows} row{'' if claim.rows == 1 else 's'})"


def is_same_claim(claimed: Parity | None, confirmed: Parity | None) -> bool:
    """Return whether both have the same labels, so that the bundle can stay as rendered."""
    return parity_labels(claimed) == parity_labels(confirmed)
