"""The parity claim as labels and as text."""

from __future__ import annotations

from modelpack.types import Parity, Reference

LABEL = "dev.modelpack.parity"
UNTESTED = Parity("untested", 0, (), 0.0, None, passed=False)
"""No prediction was tested, and the user accepted that."""
_SOURCES = {
    "expected": "what was expected of it",
    "record": "what the model said where it was trained",
    "model": "what the model says without the service",
}


def parity_labels(parity: Parity | None) -> dict[str, str]:
    """Labels of the image."""
    if parity is None:
        return {}
    if parity.source == UNTESTED.source:
        return {LABEL: UNTESTED.source}
    return {
        LABEL: f"within {parity.tolerance:g}" if parity.tolerance else "exact",
        f"{LABEL}.reference": parity.source,
        f"{LABEL}.rows": str(parity.rows),
    }


def parity_text(parity: Parity | None) -> str:
    """For the model card: "bit for bit what the model said where it was trained (17 rows)"."""
    if parity is None:
        return ""
    if parity.source == UNTESTED.source:
        return "untested: no prediction was tested, as no rows were known"
    how = f"within {parity.tolerance:g} of" if parity.tolerance else "bit for bit"
    rows = f"{parity.rows} row{'' if parity.rows == 1 else 's'}"
    return f"{how} {_SOURCES.get(parity.source)} ({rows})"


def expected_parity(rows: Reference) -> Parity:
    """Return what an image that is accepted claims of its parity."""
    if not rows.rows:
        return UNTESTED
    return Parity(rows.source, len(rows.rows), (), rows.tolerance, 0.0, passed=True)
