"""Finds the parameters that take functions or types, and compares them with the review.

    python scripts/make_positions.py          # updates the review's file, and prints what is new
    python scripts/make_positions.py --check  # writes nothing

It reads the source of each release in the allowlist, which is kept in .cache/sources. Nothing is
imported or executed. scripts/allowlist/reviewed_positions.json contains for each parameter the
values that the inspector accepts, the reason and the releases. The exit status is 1 if a parameter
has no decision or another one than inspection/callables/positions.py, or with --check if the file
would change.
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
    for position, entry in table.items():
        if not entry["decision"] or not entry["why"]:
            yield f"{position} (in {entry['seen']}) was never reviewed"
        elif entry["decision"] != decision(position.partition(":")[2]):
            yield f"{position} is decided otherwise than the inspector does"


def main() -> int:
    return reviews.update(REVIEWED, positions.read, problems, (__doc__ or "").partition("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
