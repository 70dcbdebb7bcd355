"""numpy's own format: an array (n_rows, n_inputs) or (n_rows,), or a structured one with names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..columns import Column, from_values
from ..tables import NotReadableError, Table


def read(path: Path) -> Table:
    try:
        import numpy as np  # noqa: PLC0415 - modelpack does without it otherwise
    except ImportError:
        raise NotReadableError(
            "numpy is not installed here: pip install 'modelpack[rows]'"
        ) from None
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        parts = [array[name] for name in array.dtype.names]
        columns = [list(part) if part.dtype.kind in "mM" else part.tolist() for part in parts]
        facts = tuple(map(_column, array.dtype.names, parts, columns))
        rows = list(zip(*columns, strict=True))
        return Table(tuple(array.dtype.names), rows, facts=facts, is_typed=True)
    if array.ndim not in {1, 2}:
        raise NotReadableError(f"it is an array of {array.ndim} dimensions")
    return Table(None, array.reshape(len(array), -1).tolist())


def _column(name: str, part: Any, values: list[Any]) -> Column:
    """A column of a structured array: its dtype is that of pandas, texts apart."""
    if part.dtype.kind in "US":
        return from_values(name, values, "str")
    return from_values(name, values, str(part.dtype))
