"""Finds the attributes that library code interprets, and compares them with the review.

    python scripts/make_interpreted.py          # updates the review's file, and prints what is new
    python scripts/make_interpreted.py --check  # writes nothing

It reads the source of each release in the allowlist, which is kept in .cache/sources. Nothing is
imported or executed (scripts/allowlist/interpreted.py lists the limits).
scripts/allowlist/reviewed_interpreted.json contains the decision, the reason and the releases of
each position. The exit status is 1 if a position has no decision, or with --check if the file would
change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from allowlist import interpreted, parts, reviews

REVIEWED = Path(__file__).parent / "allowlist" / "reviewed_interpreted.json"
DECISIONS = {
    "text": "the inspector admits a closed set of words: interpreted.TEXTS",
    "member": "the inspector admits estimators: interpreted.MEMBERS",
    "contract": "a contract or an invariant of the inspector checks it",
    "table": "a table of the library: other text ends in an error",
    "not reached": "not called at prediction, in spite of the names",
    "not saved": "the class is in no model file, or the allowlist does not make it",
    "harmless": "it cannot call, open or import what the file chooses",
}
"""The decisions of the review on positions."""


def problems(table: Mapping[str, reviews.Entry]) -> Iterator[str]:
    for position, entry in table.items():
        if entry["decision"] not in DECISIONS or not entry["why"]:
            yield f"{position} (in {entry['seen']}) was never reviewed"


def read(folder: Path) -> Iterator[str]:
    """Read the places in a package's folder."""
    module = parts if folder.name in parts.PACKAGES else interpreted
    return module.read(folder)


def main() -> int:
    description = (__doc__ or "").partition("\n")[0]
    return reviews.update(REVIEWED, read, problems, description, data=True)


if __name__ == "__main__":
    sys.exit(main())
