"""Comma-separated values (RFC 4180), with a line of names unless the first line is all numbers."""

from __future__ import annotations

import csv
from pathlib import Path

from ..inference import MAX_COLUMNS, inferred
from ..tables import NotReadableError, Table


def read(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except csv.Error as error:
        raise NotReadableError(str(error)) from error
    widths = {len(line) for line in lines}
    if len(widths) > 1:
        raise NotReadableError(f"its lines have {min(widths)} to {max(widths)} values")
    if lines and all(map(_is_number, lines[0])):
        return _table(None, lines)
    return _table(tuple(lines[0]) if lines else None, lines[1:])


def _table(names: tuple[str, ...] | None, lines: list[list[str]]) -> Table:
    width = len(lines[0]) if lines else 0
    columns = zip(*lines, strict=True)
    pairs = zip(names or [f"x{place}" for place in range(width)], columns, strict=False)
    facts = tuple(inferred(name, cells) for name, cells in pairs) if width <= MAX_COLUMNS else ()
    return Table(names, lines, is_text=True, facts=facts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
