"""Parquet, read by pyarrow."""

from __future__ import annotations

from pathlib import Path

from ..tables import NotReadableError, Table


def read(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - a large, optional library
    except ImportError:
        raise NotReadableError(
            "pyarrow is not installed here: pip install 'modelpack[rows]'"
        ) from None
    try:
        table = parquet.read_table(path)
    except ArrowException as error:
        raise NotReadableError(str(error)) from error
    names = [name for name in table.column_names if not name.startswith("__index_level_")]
    columns = [table.column(name).to_pylist() for name in names]
    return Table(tuple(names), list(zip(*columns, strict=True)))
