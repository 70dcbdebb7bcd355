"""JSON: a list of rows, each a list, an object or a bare value; or {"instances": rows}, with
"columns" for the names of lists; or the same a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..tables import NotReadableError, Table


def read(path: Path) -> Table:
    return table_of(json.loads(path.read_text(encoding="utf-8-sig")))


def read_lines(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return table_of([json.loads(line) for line in lines if line.strip()])


def table_of(document: Any) -> Table:
    """Raises:
    NotReadableError: the document holds no rows, or rows of several kinds.
    """
    columns = None
    if isinstance(document, dict) and "instances" in document:
        columns = document.get("columns")
        document = document["instances"]
    if not isinstance(document, list):
        document = [document]
    if document and all(isinstance(row, dict) for row in document):
        names = tuple(dict.fromkeys(name for row in document for name in row))
        return Table(names, [[row.get(name) for name in names] for row in document])
    rows = [row if isinstance(row, list) else [row] for row in document]
    _check(rows, columns)
    return Table(None if columns is None else tuple(columns), rows)


def _check(rows: Iterable[list[Any]], columns: Any) -> None:
    widths = {len(row) for row in rows}
    if any(isinstance(value, dict) for row in rows for value in row):
        raise NotReadableError("some of its rows are objects, and some are not")
    if len(widths) > 1:
        raise NotReadableError(f"its rows have {min(widths)} to {max(widths)} values")
    if columns is not None and {len(columns)} != widths:
        raise NotReadableError(f"it names {len(columns)} columns, and its rows have {widths.pop()}")
