"""Finds the parameters that take functions or types, and compares them with the review.

    python scripts/make_positions.py          # updates the review's file, and prints what is new
    python scripts/make_positions.py --check  # writes nothing

It reads the source of each release that the allowlist is made from, kept in .cache/sources;
nothing is imported or executed. scripts/allowlist/reviewed_positions.json holds for each parameter
what the inspector admits in it, the reason and the releases. Exits 1 if a parameter has no decision
or another one than inspection/callables/positions.py, or with --check if the file would change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from allowlist import positions, reviews

from modelpack.inspection.callables.names import TEXT, admitted

REVIEWED = Path(__file__).parent / "allowlist" / "reviewed_positions.json"
OWN = "own functions"
"""Decision of a parameter that holds no function of a library: only those of the author."""


def decision(name: str) -> str:
    """The values that the inspector admits in a parameter, as the review describes them."""
    return "text" if name in TEXT else ", ".join(admitted(name) or ()) or OWN


def problems(table: Mapping[str, reviews.Entry]) -> Iterator[str]:
    for place, entry in table.items():
        if not entry["decision"] or not entry["why"]:
            yield f"{place} (in {entry['seen']}) was never reviewed"
        elif entry["decision"] != decision(place.partition(":")[2]):
            yield f"{place} is decided otherwise than the inspector does"


def main() -> int:
    return reviews.update(REVIEWED, positions.read, problems, (__doc__ or "").partition("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
