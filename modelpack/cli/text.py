"""Untrusted text made safe for a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text


def printable(value: object, style: str = "") -> Text:
    """Text without control, format and bidirectional characters: these become escapes."""
    return Text("".join(c if c.isprintable() else _escaped(c) for c in str(value)), style)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def lines(text: str) -> Text:
    """Several lines, each printable."""
    return Text("\n").join(printable(line) for line in text.splitlines())


def grid() -> Table:
    """A table without lines, for names and what is told of them."""
    return Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
