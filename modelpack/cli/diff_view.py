"""The report of `modelpack diff` for terminals and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelpack.comparison import Change, Difference, Impact, Section
from modelpack.errors import UsageError
from modelpack.files import atomic_write_text

from .text import printable

ARROW = " \u2192 "
SIGNS = {"added": "+", "removed": "-", "up": "\u2191", "down": "\u2193"}  # others: ~
IMPACTS: tuple[Impact, ...] = ("breaking", "compatible", "none")
_PROBABILITIES = "row probabilities"
MAX_SHOWN = 6  # of each kind of change; fewer of frequent ones
MAX_SHOWN_OF = {"file": 4, _PROBABILITIES: 3}
_NAMES = {"distribution": "", "Python": "", _PROBABILITIES: "row"}
_HIDDEN = {("removed", "layer")}  # counted only, as nobody pulls them
_GROUPED = {"range", "label", "variable", "setting"}  # on one line, by their names
_MAX_LENGTH = 60
_CONTEXT = 20  # characters before the first difference of two long values
_DIGEST = re.compile(r"\b(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}\b")


@dataclass(frozen=True)
class Line:
    sign: str
    name: str
    value: str = ""
    note: str = ""
    impact: Impact = "none"


def lines(changes: Iterable[Change], limit: int = MAX_SHOWN) -> Iterator[Line]:
    """Yield the lines of changes, at most `limit` of each kind, and how many are left out."""
    groups: dict[tuple[Impact, str, str], list[Change]] = {}
    for change in sorted(changes, key=lambda change: IMPACTS.index(change.impact)):
        if (change.kind, change.what) in _HIDDEN:
            continue
        groups.setdefault((change.impact, change.kind, change.what), []).append(change)
    for (_, _, what), group in groups.items():
        if what in _GROUPED and len(group) > 1:
            yield _grouped_line(group)
            continue
        shown_limit = min(limit, MAX_SHOWN_OF.get(what, limit))
        shown = group if len(group) <= shown_limit else group[: shown_limit - 1]
        yield from map(_line, shown)
        if len(group) > len(shown):
            yield Line("", f"... {len(group) - len(shown):,} more", impact=group[0].impact)


def _grouped_line(group: Sequence[Change]) -> Line:
    names = [change.name for change in group]
    more = f", ... ({len(names)})" if len(names) > MAX_SHOWN else ""
    return Line(_sign(group[0]), group[0].what, ", ".join(names[:MAX_SHOWN]) + more, group[0].note)


def _line(change: Change) -> Line:
    if change.what == "file":
        return Line(_sign(change), "file", shortened(change.name), _size(change))
    if change.what == "layer":
        return Line(_sign(change), "layer", brief(_command(change.name)), change.note)
    name = f"{_NAMES.get(change.what, change.what)} {change.name}".strip()
    return Line(_sign(change), brief(name), _value(change), brief(change.note), change.impact)


def _command(text: str) -> str:
    """Return the command of a layer without the parts that are the same in all."""
    return re.sub(r"^(RUN )?/bin/sh -c |( # buildkit)$", "", text)


def _size(change: Change) -> str:
    """Return the size of a file, or the difference if it is not in the content."""
    value = change.new or change.old or ""
    return change.note or value.partition(", ")[0]


def _sign(change: Change) -> str:
    return SIGNS.get(change.kind, "~")


def _value(change: Change) -> str:
    if change.kind == "renamed" and change.old == change.name:
        return f"is now {brief(change.new or '')}"
    sides = [side for side in (change.old, change.new) if side is not None]
    shown = [brief(side) for side in sides]
    if len({*shown}) < len({*sides}):  # they differ after the part that is shown
        start = len([*takewhile(lambda pair: pair[0] == pair[1], zip(*sides, strict=False))])
        shown = [brief(f"...{side[max(0, start - _CONTEXT) :]}") for side in sides]
    return ARROW.join(shown)


def shortened(path: str) -> str:
    """Shorten a path to its first directory and its end."""
    if len(path) <= _MAX_LENGTH:
        return path
    first, _, rest = path.partition("/")
    return f"{first}/...{rest[-(_MAX_LENGTH - len(first) - 4) :]}"


def brief(text: str) -> str:
    """Shorten text to 60 characters, and digests to 12."""
    text = _DIGEST.sub(r"\1", text)
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 3]}..."


# Every text of a model or an image passes through `printable`.
VERDICT_MARKS = {"+": "green", "-": "red", "~": "yellow"}
STYLES = {
    "same": "green",
    "changed": "yellow",
    "compatible": "cyan",
    "breaking": "bold red",
    "unknown": "dim",
}


def view_diff(difference: Difference) -> Group:
    """Return the report: first what callers notice first."""
    parts: list[RenderableType] = [_sides(difference)]
    for name, section in difference.sections:
        parts += [Text(), _heading(name, section)]
        if section.changes or section.unknown:
            parts.append(_details(section))
    return Group(*parts, Text(), _verdict(difference))


def _sides(difference: Difference) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, side in (("old", difference.old), ("new", difference.new)):
        what = f"{side.kind}, of the model {', '.join(digest[:12] for digest in side.sha256)}"
        table.add_row(Text(name, "bold"), printable(side.name), Text(what, "dim"))
    return table


def _heading(name: str, section: Section) -> Table:
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=12)
    line.add_column(width=10)
    mark = Text(section.verdict, STYLES[section.verdict])
    line.add_row(Text(name, "bold"), mark, printable(section.summary))
    return line


def _details(section: Section) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column(overflow="fold")
    for line in lines(section.changes):
        sign = Text(line.sign, VERDICT_MARKS.get(line.sign, ""))
        table.add_row(sign, printable(line.name), printable(line.value), _note(line))
    unknown = [printable(f"? {why}", "dim") for why in section.unknown]
    return Padding(Group(*([table] if section.changes else []), *unknown), (0, 0, 0, 2))


def _note(line: Line) -> Text:
    if line.impact == "none":
        return printable(line.note, "yellow" if line.note == "major" else "dim")
    return Text.assemble((f"{line.impact:<12}", STYLES[line.impact]), printable(line.note))


def _verdict(difference: Difference) -> Text:
    """Return the conclusion in one line."""
    if not difference.differing:
        return Text("nothing differs", "green")
    if difference.breaking:
        return Text(f"breaks callers: {', '.join(difference.breaking)}", STYLES["breaking"])
    differing = f"differs: {', '.join(difference.differing)}"
    known = difference.signature.verdict != "unknown"
    return Text(f"callers need no change; {differing}" if known else differing, "bold")


# Texts of a model or an image are in code spans, so that they are neither markup nor mentions.
# Source: GitHub Flavored Markdown, sections 4.10 and 6.3.
_MARKS = {"same": "\u2705", "changed": "\u270f\ufe0f", "compatible": "\u2139\ufe0f",
          "breaking": "\u274c", "unknown": "\u2754"}  # fmt: skip


def write_markdown(difference: Difference, path: Path) -> None:
    """Write the report as Markdown. Raise UsageError if the file cannot be written."""
    try:
        atomic_write_text(path, markdown_text(difference))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Choose another --markdown FILE."
        ) from error


def markdown_text(difference: Difference) -> str:
    """Return a table of the sections, and a fold with the differences of each."""
    sections = list(difference.sections)
    parts = [
        f"### {markdown_code(difference.old.name)} \u2192 {markdown_code(difference.new.name)}",
        "",
        "| section | verdict | summary |",
        "|---|---|---|",
        *(_row(name, section) for name, section in sections),
    ]
    for name, section in sections:
        if section.changes or section.unknown:
            parts += ["", *_fold(name, section)]
    return "\n".join(parts) + "\n"


def _row(name: str, section: Section) -> str:
    verdict = f"{_MARKS[section.verdict]} {section.verdict}"
    return f"| {name} | {verdict} | {markdown_code(section.summary)} |"


def _fold(name: str, section: Section) -> Iterator[str]:
    attribute = " open" if section.verdict == "breaking" else ""
    yield f"<details{attribute}><summary>{name}</summary>\n"
    if section.changes:
        yield "| | name | change | note |\n|---|---|---|---|"
    for line in lines(section.changes, limit=50):
        impact = "" if line.impact == "none" else f"**{line.impact}** "
        note = f"{impact}{markdown_code(line.note)}"
        yield f"| {line.sign} | {markdown_code(line.name)} | {markdown_code(line.value)} | {note} |"
    yield from (f"\n- not compared: {markdown_code(why)}" for why in section.unknown)
    yield "\n</details>"


def markdown_code(text: str) -> str:
    """Return a code span for the cell of a table, without markup in it."""
    inert = printable(text).plain.replace("`", "'").replace("|", "\\|").strip()
    return f"`{inert}`" if inert else ""
