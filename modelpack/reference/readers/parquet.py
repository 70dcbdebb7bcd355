"""Parquet, read by pyarrow. The dtypes are those of pandas that the file names, or that fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arrow import column_of
from ..tables import NotReadableError, Table

if TYPE_CHECKING:
    from ..columns import Column


def read(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - a large, optional library
    except ImportError:
        raise NotReadableError(
            "pyarrow is not installed here: pip install 'modelpack[rows]'"
        ) from None
    try:
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith("__index_level_")]
        columns = [table.column(name).to_pylist() for name in names]
        facts = _facts(table, names, columns)
    except ArrowException as error:
        raise NotReadableError(str(error)) from error
    return Table(tuple(names), list(zip(*columns, strict=True)), facts=facts, is_typed=True)


def _facts(table: Any, names: Sequence[str], columns: Sequence[list[Any]]) -> tuple[Column, ...]:
    dtypes = _pandas_dtypes(table.schema.metadata or {})
    pairs = zip(names, columns, strict=True)
    return tuple(column_of(n, table.column(n), values, dtypes.get(n)) for n, values in pairs)


def _pandas_dtypes(metadata: dict[bytes, bytes]) -> dict[str, str]:
    """Name -> dtype of the columns of the frame that was written; empty if it was none."""
    try:
        listed = json.loads(metadata[b"pandas"])["columns"]
        return {
            str(entry["name"]): str(entry["numpy_type"])
            for entry in listed
            if entry["pandas_type"] != "categorical"  # else it is the dtype of the codes
        }
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
