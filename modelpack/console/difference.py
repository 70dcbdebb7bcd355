"""The answer of `modelpack diff` for people: a line a section, and below it what differs.

Every text of a model or an image passes `printable` on its way.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelpack.diff import Difference, Named, Section

from .changes import Line, lines
from .text import printable

SIGNS = {"+": "green", "-": "red", "~": "yellow"}
STYLES = {
    "same": "green",
    "changed": "yellow",
    "compatible": "cyan",
    "breaking": "bold red",
    "unknown": "dim",
}


def view(found: Difference) -> Group:
    """All that differs, in the order in which callers notice it."""
    parts: list[RenderableType] = [_sides(found)]
    for name, section in found.sections:
        parts += [Text(), _heading(name, section)]
        if section.changes or section.unknown:
            parts.append(_details(section))
    return Group(*parts, Text(), _verdict(found))


def _sides(found: Difference) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for name, side in (("old", found.old), ("new", found.new)):
        table.add_row(Text(name, "bold"), printable(side.name), Text(_told(side), "dim"))
    return table


def _told(side: Named) -> str:
    return f"{side.kind}, of the model {', '.join(digest[:12] for digest in side.sha256)}"


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
        sign = Text(line.sign, SIGNS.get(line.sign, ""))
        table.add_row(sign, printable(line.name), printable(line.value), _note(line))
    unknown = [printable(f"? {why}", "dim") for why in section.unknown]
    return Padding(Group(*([table] if section.changes else []), *unknown), (0, 0, 0, 2))


def _note(line: Line) -> Text:
    if line.impact == "none":
        return printable(line.note, "yellow" if line.note == "major" else "dim")
    return Text.assemble((f"{line.impact:<12}", STYLES[line.impact]), printable(line.note))


def _verdict(found: Difference) -> Text:
    """What it comes to, in a line."""
    if not found.differing:
        return Text("nothing differs", "green")
    if found.breaking:
        return Text(f"breaks callers: {', '.join(found.breaking)}", STYLES["breaking"])
    told = f"differs: {', '.join(found.differing)}"
    known = found.signature.verdict != "unknown"
    return Text(f"callers need no change; {told}" if known else told, "bold")
