"""Comma-separated values (RFC 4180), with a line of names unless the first line is all numbers."""

from __future__ import annotations

import csv
from pathlib import Path

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
        return Table(None, lines, is_text=True)
    return Table(tuple(lines[0]) if lines else None, lines[1:], is_text=True)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
