"""What an image tells of its parity: labels, and words for people."""

from __future__ import annotations

from modelpack.spec import Parity

LABEL = "dev.modelpack.parity"
_SOURCES = {
    "expected": "what was expected of it",
    "record": "what the model said where it was trained",
    "model": "what the model says without the service",
}


def told(parity: Parity | None) -> dict[str, str]:
    """Labels of the image."""
    if parity is None:
        return {}
    return {
        LABEL: f"within {parity.tolerance:g}" if parity.tolerance else "exact",
        f"{LABEL}.reference": parity.source,
        f"{LABEL}.rows": str(parity.rows),
    }


def in_words(parity: Parity | None) -> str:
    """For the model card: "bit for bit what the model said where it was trained (17 rows)"."""
    if parity is None:
        return ""
    how = f"within {parity.tolerance:g} of" if parity.tolerance else "bit for bit"
    rows = f"{parity.rows} row{'' if parity.rows == 1 else 's'}"
    return f"{how} {_SOURCES.get(parity.source)} ({rows})"
