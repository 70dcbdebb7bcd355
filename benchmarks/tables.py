"""Measurements as a table for a terminal or a document."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def show(heads: Sequence[str], rows: Iterable[Sequence[str]], *, markdown: bool) -> None:
    if markdown:
        print(in_markdown(heads, rows))
        return
    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    Console(width=int(os.environ.get("COLUMNS", "110"))).print(table)


def in_markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ("---",) * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
