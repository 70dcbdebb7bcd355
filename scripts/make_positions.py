"""Finds the parameters that take functions or types, and compares them with the review.

    python scripts/make_positions.py          # updates the review's file, and prints what is new
    python scripts/make_positions.py --check  # writes nothing

It reads the source of each release that the allowlist is made from, kept in .cache/sources;
nothing is imported or executed. scripts/allowlist/reviewed_positions.json holds for each parameter
what the inspector admits in it, the reason and the releases. Exits 1 if a parameter has no decision
or another one than inspection/callables/positions.py, or with --check if the file would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from allowlist import positions
from allowlist.sources import sources

from modelpack.inspection.callables.positions import TEXT, admitted

REVIEWED = Path(__file__).parent / "allowlist" / "reviewed_positions.json"
OWN = "own functions"
"""Decision of a parameter that holds no function of a library: only those of the author."""

Entry = dict[str, str]


def found() -> dict[str, str]:
    """Parameter "package:name" -> the releases that have it."""
    seen: dict[str, list[str]] = defaultdict(list)
    for source in sources():
        print(f"reading {source.requirement}", file=sys.stderr)
        for place in sorted(set(positions.read(source.folder))):
            seen[place].append(source.name.partition(" ")[2])
    return {place: ", ".join(seen[place]) for place in sorted(seen)}


def merged(places: Mapping[str, str], reviewed: Mapping[str, Entry]) -> dict[str, Entry]:
    """The review with the parameters of today: decisions stay, new parameters have none."""
    blank = {"decision": "", "why": ""}
    return {
        place: {**blank, **reviewed.get(place, {}), "seen": seen} for place, seen in places.items()
    }


def decision(name: str) -> str:
    """What the inspector admits in a parameter, in the words of the review."""
    return "text" if name in TEXT else ", ".join(admitted(name) or ()) or OWN


def problems(table: Mapping[str, Entry]) -> Iterator[str]:
    for place, entry in table.items():
        if not entry["decision"] or not entry["why"]:
            yield f"{place} (in {entry['seen']}) was never reviewed"
        elif entry["decision"] != decision(place.partition(":")[2]):
            yield f"{place} is decided otherwise than the inspector does"


def text(table: Mapping[str, Entry]) -> str:
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table))
    return f"{{\n{lines}\n}}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    before = REVIEWED.read_text("utf-8") if REVIEWED.exists() else "{}"
    table = merged(found(), json.loads(before))
    wrong = list(problems(table))
    stale = text(table) != before
    if stale and options.check:
        gone = json.loads(before).keys() - table.keys()
        wrong += [f"{place} is in no release" for place in sorted(gone)]
        wrong.append(f"{REVIEWED.name} is not that of these releases: run without --check")
    elif stale:
        REVIEWED.write_text(text(table), "utf-8")
    print(*wrong, sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
