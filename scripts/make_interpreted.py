"""Finds the attributes that library code interprets, and compares them with the review.

    python scripts/make_interpreted.py          # updates the review's file, and prints what is new
    python scripts/make_interpreted.py --check  # writes nothing

It reads the source of each release that the allowlist is made from, kept in .cache/sources;
nothing is imported or executed (scripts/allowlist/interpreted.py tells what that cannot see).
scripts/allowlist/reviewed_interpreted.json holds for each place its decision, the reason and the
releases. Exits 1 if a place has no decision, or with --check if the file would change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from allowlist import interpreted
from allowlist.sources import sources

REVIEWED = Path(__file__).parent / "allowlist" / "reviewed_interpreted.json"
DECISIONS = {
    "text": "the inspector admits a closed set of words: interpreted.TEXTS",
    "member": "the inspector admits estimators: interpreted.MEMBERS",
    "contract": "a contract or an invariant of the inspector checks it",
    "table": "a table of the library: other text ends in an error",
    "not reached": "not called at prediction, though the names say so",
    "not saved": "the class is in no model file, or the allowlist does not make it",
    "harmless": "it cannot call, open or import what the file chooses",
}
"""What the review decides of a place."""

Entry = dict[str, str]


def found() -> dict[str, str]:
    """Place "package:Class.attribute kind" -> the releases that have it."""
    seen: dict[str, list[str]] = defaultdict(list)
    for source in sources():
        print(f"reading {source.requirement}", file=sys.stderr)
        for place in interpreted.read(source.folder):
            seen[place].append(source.name.partition(" ")[2])
    return {place: ", ".join(seen[place]) for place in sorted(seen)}


def merged(places: Mapping[str, str], reviewed: Mapping[str, Entry]) -> dict[str, Entry]:
    """The review with the places of today: decisions stay, new places have none."""
    blank = {"decision": "", "why": ""}
    return {
        place: {**blank, **reviewed.get(place, {}), "seen": seen} for place, seen in places.items()
    }


def problems(table: Mapping[str, Entry]) -> Iterator[str]:
    for place, entry in table.items():
        if entry["decision"] not in DECISIONS or not entry["why"]:
            yield f"{place} (in {entry['seen']}) was never reviewed"


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
