"""Rows of Python objects as JSON, for requests and row files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpack.errors import UsageError


def to_instances(rows: Any) -> list[Any]:
    """Return rows as lists, or as dicts if they have names.

    Args:
        rows: A DataFrame, an array, a Series, a list of rows, or one row as a dict by name.

    Raises:
        UsageError: A value has no form in JSON.
    """
    if isinstance(rows, Mapping):
        return [dict(rows)]
    if isinstance(rows, list | tuple):
        return list(rows)
    from modelpack.parity.record import to_rows

    names, values = to_rows(rows)
    return [dict(zip(names, row, strict=True)) for row in values] if names else values


def write_rows(rows: Any, folder: Path) -> Path:
    """Write rows to a JSON file in a folder, and return its path."""
    path = folder / "rows.json"
    path.write_bytes(encode(to_instances(rows)))
    return path


def encode(document: Any) -> bytes:
    """Return a JSON document.

    Raises:
        UsageError: A value has no form in JSON.
    """
    try:
        return json.dumps(document, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"The rows cannot be written as JSON: {error}.",
            hint="Give a DataFrame, an array, or lists of numbers, strings and booleans. A missing"
            " value is None.",
        ) from error
