"""Row files (csv, json, jsonl, npy, parquet) as a `Table`."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.errors import UsageError
from modelpack.files import require_regular

from .columns import MAX_COLUMNS, Column, from_arrow, from_values, infer_column

MAX_FILE_BYTES = 2**30


@dataclass(frozen=True)
class Table:
    """Rows, and facts about their columns.

    Attributes:
        columns: The names of the values of a row; None if the file has none.
        is_text: Every value is a string that may represent something else, as in CSV.
        facts: One per column, in the order of the values of a row; empty if not known.
        is_typed: The dtypes of `facts` are those of the file, and not inferred from its values.
        source: What error messages call the rows.
    """

    columns: tuple[str, ...] | None
    rows: Sequence[Sequence[Any]]
    is_text: bool = False
    facts: tuple[Column, ...] = ()
    is_typed: bool = False
    source: str = "example rows"


class RowFileError(Exception):
    """Why a file contains no table. The text completes "PATH cannot be read as rows: "."""


def read_table(path: Path) -> Table:
    """Read rows by the suffix of the file: .csv, .json, .jsonl, .npy, .parquet.

    Raises:
        UsageError: The file does not exist, is malformed, or has another suffix.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} does not have the suffix of a row file.",
            hint=f"Use one of {', '.join(READERS)}.",
        )
    return _read(reader, path)


def _read(reader: Callable[[Path], Table], path: Path) -> Table:
    try:
        require_regular(path, MAX_FILE_BYTES)
        table = reader(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path."
        ) from error
    except (RowFileError, ValueError, RecursionError, EOFError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"{path} cannot be read as rows: {reason}.",
            hint="docs/parity.md shows what such a file looks like.",
        ) from error
    if not table.rows:
        raise UsageError(
            f"{path} contains no rows.",
            hint="Give a file with at least one row. The first 100 are used.",
        )
    return table


def _read_csv(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except csv.Error as error:
        raise RowFileError(str(error)) from error
    widths = {len(line) for line in lines}
    if len(widths) > 1:
        raise RowFileError(f"its lines have {min(widths)} to {max(widths)} values")
    if lines and all(map(_is_number, lines[0])):
        return _table(None, lines)
    return _table(tuple(lines[0]) if lines else None, lines[1:])


def _table(names: tuple[str, ...] | None, lines: list[list[str]]) -> Table:
    width = len(lines[0]) if lines else 0
    columns = zip(*lines, strict=True)
    pairs = zip(names or [f"x{place}" for place in range(width)], columns, strict=False)
    facts = (
        tuple(infer_column(name, cells) for name, cells in pairs) if width <= MAX_COLUMNS else ()
    )
    return Table(names, lines, is_text=True, facts=facts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_json(path: Path) -> Table:
    return table_from_json(json.loads(path.read_text(encoding="utf-8-sig")))


def _read_json_lines(path: Path) -> Table:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return table_from_json([json.loads(line) for line in lines if line.strip()])


def table_from_json(document: Any) -> Table:
    """Return the table of a JSON document.

    Raises:
        RowFileError: The document contains no rows, or rows of several kinds.
    """
    columns = None
    if isinstance(document, dict) and "instances" in document:
        columns = document.get("columns")
        document = document["instances"]
    if not isinstance(document, list):
        document = [document]
    document = [_flat_row(row) for row in document]
    if document and all(isinstance(row, dict) for row in document):
        names = tuple(dict.fromkeys(name for row in document for name in row))
        return Table(names, [[row.get(name) for name in names] for row in document])
    rows = [row if isinstance(row, list) else [row] for row in document]
    _check(rows, columns)
    return Table(None if columns is None else tuple(columns), rows)


def _flat_row(row: Any) -> Any:
    """Return a row with the values of nested lists in row-major order.

    In a row by name, the values of NAME are NAME_0, NAME_1, ..., as the inputs of a tensor.
    """
    if isinstance(row, dict):
        pairs = ((name, value, _flat(value)) for name, value in row.items())
        return {
            f"{name}_{index}" if isinstance(value, list) and len(flat) > 1 else name: each
            for name, value, flat in pairs
            for index, each in enumerate(flat)
        }
    return _flat(row) if isinstance(row, list) else row


def _flat(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    while any(isinstance(each, list) for each in values):
        values = [part for each in values for part in (each if isinstance(each, list) else [each])]
    return values


def _check(rows: Iterable[list[Any]], columns: Any) -> None:
    widths = {len(row) for row in rows}
    if any(isinstance(value, dict) for row in rows for value in row):
        raise RowFileError("some of its rows are objects, and some are not")
    if len(widths) > 1:
        raise RowFileError(f"its rows have {min(widths)} to {max(widths)} values")
    if columns is not None and {len(columns)} != widths:
        raise RowFileError(f"it names {len(columns)} columns, and its rows have {widths.pop()}")


def _read_npy(path: Path) -> Table:
    try:
        import numpy as np  # noqa: PLC0415 - an optional library
    except ImportError:
        raise RowFileError("numpy is not installed: pip install 'modelpack[rows]'") from None
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        parts = [array[name] for name in array.dtype.names]
        columns = [list(part) if part.dtype.kind in "mM" else part.tolist() for part in parts]
        facts = tuple(map(_column, array.dtype.names, parts, columns))
        rows = list(zip(*columns, strict=True))
        return Table(tuple(array.dtype.names), rows, facts=facts, is_typed=True)
    if not array.ndim:
        raise RowFileError("it is an array of 0 dimensions")
    return Table(None, array.reshape(len(array), -1).tolist())


def _column(name: str, part: Any, values: list[Any]) -> Column:
    """Return a column of a structured array. Only strings have another dtype in pandas."""
    if part.dtype.kind in "US":
        return from_values(name, values, "str")
    return from_values(name, values, str(part.dtype))


def _read_parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - a large, optional library
    except ImportError:
        raise RowFileError("pyarrow is not installed: pip install 'modelpack[rows]'") from None
    try:
        table = parquet.read_table(path)
        names = [name for name in table.column_names if not name.startswith("__index_level_")]
        columns = [table.column(name).to_pylist() for name in names]
        facts = _facts(table, names, columns)
    except ArrowException as error:
        raise RowFileError(str(error)) from error
    return Table(tuple(names), list(zip(*columns, strict=True)), facts=facts, is_typed=True)


def _facts(table: Any, names: Sequence[str], columns: Sequence[list[Any]]) -> tuple[Column, ...]:
    dtypes = _pandas_dtypes(table.schema.metadata or {})
    pairs = zip(names, columns, strict=True)
    return tuple(from_arrow(n, table.column(n), values, dtypes.get(n)) for n, values in pairs)


def _pandas_dtypes(metadata: dict[bytes, bytes]) -> dict[str, str]:
    """Return the dtypes of a frame by column; empty if the file was not written from a frame."""
    try:
        listed = json.loads(metadata[b"pandas"])["columns"]
        return {
            str(entry["name"]): str(entry["numpy_type"])
            for entry in listed
            if entry["pandas_type"] != "categorical"  # its dtype is that of the codes
        }
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


READERS = {
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
}
BINARY = {".npy", ".parquet"}
"""The formats whose numbers have all their digits."""
