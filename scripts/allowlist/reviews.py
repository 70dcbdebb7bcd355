"""Reviews of places in the source of libraries: what a script finds, and what people decided of it.

A review is a JSON file. For each place it contains the decision, the reason, and the releases in
which the place was seen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from allowlist.sources import sources

Entry = dict[str, str]


def find_entries(read: Callable[[Path], Iterable[str]], *, data: bool = False) -> dict[str, str]:
    """Return each place that `read` finds in the folder of a release, with the releases.

    Args:
        read: Finds the places.
        data: Whether to read numpy, pandas, scipy and statsmodels, too.
    """
    seen: dict[str, list[str]] = defaultdict(list)
    for source in sources(data=data):
        print(f"reading {source.requirement}", file=sys.stderr)
        for position in sorted(set(read(source.folder))):
            seen[position].append(source.name.partition(" ")[2])
    return {position: ", ".join(seen[position]) for position in sorted(seen)}


def merged(positions: Mapping[str, str], reviewed: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the review with the places of today: decisions stay, new places have none."""
    blank = {"decision": "", "why": ""}
    return {
        position: {**blank, **reviewed.get(position, {}), "seen": seen}
        for position, seen in positions.items()
    }


def update(
    path: Path,
    read: Callable[[Path], Iterable[str]],
    problems: Callable[[Mapping[str, Entry]], Iterator[str]],
    description: str,
    *,
    data: bool = False,
) -> int:
    """Run the script of a review: write its file, or compare it with `--check`.

    Args:
        path: The file of the review.
        read: Finds the places in the folder of a release.
        problems: Finds what is wrong with a review.
        description: The first line of the help.
        data: Whether to read numpy, pandas, scipy and statsmodels, too.

    Returns:
        The exit code: 1 if there are problems, or with `--check` if the file would change.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    before = path.read_text("utf-8") if path.exists() else "{}"
    table = merged(find_entries(read, data=data), json.loads(before))
    wrong = list(problems(table))
    stale = _text(table) != before
    if stale and options.check:
        removed = json.loads(before).keys() - table.keys()
        wrong += [f"{position} is in no release" for position in sorted(removed)]
        wrong.append(f"{path.name} is not that of these releases: run without --check")
    elif stale:
        path.write_text(_text(table), "utf-8")
    print(*wrong, sep="\n")
    return int(bool(wrong))


def _text(table: Mapping[str, Entry]) -> str:
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table))
    return f"{{\n{lines}\n}}\n"
