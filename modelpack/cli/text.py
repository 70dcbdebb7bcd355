"""Untrusted text, made safe for a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def printable(value: object, style: str = "") -> Text:
    """Escape control, format and bidirectional characters."""
    return Text(visible(value), style)


def visible(value: object) -> str:
    """Return a text in which control, format and bidirectional characters are escaped."""
    return "".join(c if c.isprintable() else _escaped(c) for c in str(value))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def lines(text: str) -> Text:
    """Escape each line of a text."""
    return Text("\n").join(printable(line) for line in text.splitlines())


def grid() -> Table:
    """Return a table without lines, for names and values."""
    return Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
