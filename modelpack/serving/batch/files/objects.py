"""Rows as JSON has them."""

from __future__ import annotations

from typing import Any, Collection

import numpy as np


def without(rows: list[Any], extra: Collection[str]) -> list[Any]:
    """The rows, objects without the members of these names."""
    if not extra:
        return rows
    return [_inputs(row, extra) if isinstance(row, dict) else row for row in rows]


def _inputs(row: dict[str, Any], extra: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in extra}


def names(rows: list[Any]) -> list[str] | None:
    """Of the members of objects; None where there are none."""
    objects = [row for row in rows if isinstance(row, dict)]
    return list(dict.fromkeys(name for row in objects for name in row)) if objects else None


def value(row: Any, index: int, name: str) -> Any:
    """One value of a row, None where it has none."""
    if isinstance(row, dict):
        return row.get(name)
    if isinstance(row, list):
        return row[index] if index < len(row) else None
    return row if index == 0 else None


def listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
