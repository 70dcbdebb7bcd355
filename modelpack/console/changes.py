"""Changes as few lines to read: the worst first, long lists cut, digests by their beginning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelpack.diff import Change, Impact

ARROW = " \u2192 "
SIGNS = {"added": "+", "removed": "-", "up": "\u2191", "down": "\u2193"}  # else ~
IMPACTS: tuple[Impact, ...] = ("breaking", "compatible", "none")
_CHANCES = "row probabilities"
MOST = 6  # of one sort that are shown, and fewer of what there is always much of
FEWER = {"file": 4, _CHANCES: 3}
_NAMES = {"distribution": "", "Python": "", _CHANCES: "row"}
_HIDDEN = {("removed", "layer")}  # they are counted, and nobody pulls them
_TOGETHER = {"range", "label", "variable", "setting"}  # on one line, by their names
_LONGEST = 60
_DIGEST = re.compile(r"\b(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class Line:
    """`sign`: what became of it. `value`: as it was and is. `note`: why, or how much."""

    sign: str
    name: str
    value: str = ""
    note: str = ""
    impact: Impact = "none"


def lines(changes: Iterable[Change], most: int = MOST) -> Iterator[Line]:
    """`most`: of each sort of change; how many more there are is told."""
    groups: dict[tuple[Impact, str, str], list[Change]] = {}
    for change in sorted(changes, key=lambda change: IMPACTS.index(change.impact)):
        if (change.kind, change.what) in _HIDDEN:
            continue
        groups.setdefault((change.impact, change.kind, change.what), []).append(change)
    for (_, _, what), group in groups.items():
        if what in _TOGETHER and len(group) > 1:
            yield _together(group)
            continue
        least = min(most, FEWER.get(what, most))
        shown = group if len(group) <= least else group[: least - 1]
        yield from map(_line, shown)
        if len(group) > len(shown):
            yield Line("", f"... {len(group) - len(shown):,} more", impact=group[0].impact)


def _together(group: Sequence[Change]) -> Line:
    names = [change.name for change in group]
    more = f", ... ({len(names)})" if len(names) > MOST else ""
    return Line(_sign(group[0]), group[0].what, ", ".join(names[:MOST]) + more, group[0].note)


def _line(change: Change) -> Line:
    if change.what == "file":
        return Line(_sign(change), "file", shortened(change.name), _size(change))
    if change.what == "layer":
        return Line(_sign(change), "layer", brief(_command(change.name)), change.note)
    name = f"{_NAMES.get(change.what, change.what)} {change.name}".strip()
    return Line(_sign(change), brief(name), _value(change), brief(change.note), change.impact)


def _command(text: str) -> str:
    """What made a layer, without what is the same in all."""
    return re.sub(r"^(RUN )?/bin/sh -c |( # buildkit)$", "", text)


def _size(change: Change) -> str:
    """Of a file, and how it differs where that is not its content."""
    told = change.new or change.old or ""
    return change.note or told.partition(", ")[0]


def _sign(change: Change) -> str:
    return SIGNS.get(change.kind, "~")


def _value(change: Change) -> str:
    if change.kind == "renamed" and change.old == change.name:
        return f"is now {brief(change.new or '')}"
    sides = [brief(side) for side in (change.old, change.new) if side is not None]
    return ARROW.join(sides)


def shortened(path: str) -> str:
    """A path by its beginning and its name."""
    if len(path) <= _LONGEST:
        return path
    first, _, rest = path.partition("/")
    return f"{first}/...{rest[-(_LONGEST - len(first) - 4) :]}"


def brief(text: str) -> str:
    """Text of at most 60 characters, with digests by their first twelve."""
    text = _DIGEST.sub(r"\1", text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
