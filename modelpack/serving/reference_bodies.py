"""Bodies of requests as users write them with pandas, for the smoke test to send unchanged.

Text loses digits: `DataFrame.to_json` keeps ten. Thus each body comes with the rows that are read
from it again, by the parsers of pandas and Python.
"""

from __future__ import annotations

import csv
import io
import json
import math
from importlib.util import find_spec
from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

from .manifest import Field
from .media import arrow_tables
from .reference_rows import Row, frame

MAX_BYTES = 2**22
"""Larger bodies are left out: they prove no more."""
DIGITS = 10
"""Digits after the point that `DataFrame.to_json` writes by default."""

Body = Tuple[str, bytes, List[List[Any]]]


def write(fields: Sequence[Field], rows: Sequence[Row]) -> Iterator[Body]:
    """Yield (name, content, rows in it) for each format that can hold the rows."""
    table = frame(fields, rows) if find_spec("pandas") else None
    for name, (make, read) in FORMATS.items():
        if name == "csv" and not _is_plain(fields, rows):
            continue
        if name == "json" and any(f.type == "datetime" and f.dtype == "category" for f in fields):
            continue  # pandas before 2 writes nanoseconds for them, and milliseconds for others
        content = make(fields, rows, table)
        if content is not None and len(content) <= MAX_BYTES:
            yield name, content, [list(row) for row in (read(fields, content) if read else rows)]


def _is_plain(fields: Sequence[Field], rows: Sequence[Row]) -> bool:
    """Return whether cells are unambiguous: only the signature distinguishes "1" from 1."""
    return all(map(_parser, fields)) and not any(value == "" for row in rows for value in row)


def _json(fields: Sequence[Field], rows: Sequence[Row], table: Any) -> bytes:
    if table is not None:
        text: str = table.to_json(orient="records")
        return text.encode()
    names = [field.name for field in fields]
    records = [{name: _short(value) for name, value in zip(names, row)} for row in rows]
    return json.dumps(records, separators=(",", ":")).replace("/", "\\/").encode()


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, DIGITS) or value


def _from_json(fields: Sequence[Field], content: bytes) -> list[Row]:
    names = [field.name for field in fields]
    return [[record[name] for name in names] for record in json.loads(content)]


def _csv(fields: Sequence[Field], rows: Sequence[Row], table: Any) -> bytes:
    if table is not None:
        text: str = table.to_csv(index=False)
        return text.encode()
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([field.name for field in fields])
    writer.writerows(rows)
    return file.getvalue().encode()


def _from_csv(fields: Sequence[Field], content: bytes) -> list[Row]:
    _, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
    parsers = list(map(_parser, fields))
    return [[p(cell) if cell else None for p, cell in zip(parsers, line)] for line in lines]


def _parser(field: Field) -> Any:
    """Return a function that parses a cell of the field, or None if its type is unknown."""
    if field.type != "any":
        return PARSERS.get(field.type)
    kinds = {"f": "number", "i": "integer", "u": "integer", "b": "boolean"}
    return PARSERS.get(kinds.get((field.dtype or " ")[0], ""))


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "number": lambda cell: float({"True": "1", "False": "0"}.get(cell, cell)),
    "integer": lambda cell: int(float(cell)) if "." in cell else int(cell),
    "boolean": lambda cell: cell in ("True", "1.0"),
    "string": str,
    "datetime": str,
}


def _arrow(fields: Sequence[Field], rows: Sequence[Row], table: Any) -> bytes | None:  # noqa: ARG001
    arrow = _arrow_table(table)
    if arrow is None:
        return None
    import pyarrow as pa  # noqa: PLC0415 - not every image has it

    sink = pa.BufferOutputStream()
    writer = pa.RecordBatchStreamWriter(sink, arrow.schema)
    writer.write_table(arrow)
    writer.close()
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _parquet(fields: Sequence[Field], rows: Sequence[Row], table: Any) -> bytes | None:  # noqa: ARG001
    if _arrow_table(table) is None:
        return None
    sink = io.BytesIO()
    table.to_parquet(sink, engine="pyarrow", index=False)
    return sink.getvalue()


def _arrow_table(table: Any) -> Any:
    """None where a library is missing or too old, or a column has no type of Arrow."""
    if table is None or not arrow_tables.is_usable():
        return None
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.Table.from_pandas(table, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError):
        return None


FORMATS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "json": (_json, _from_json),
    "csv": (_csv, _from_csv),
    "arrow": (_arrow, None),
    "parquet": (_parquet, None),
}
"""Name -> what writes it, and what reads its rows; None where they are the same."""
