"""CSV.

Cells are parsed by the type of their input. An empty cell is a missing value if the input is
nullable. Numbers are written as in JSON or as nan, booleans as true or false in any case.
"""

from __future__ import annotations

import csv
import io
from array import array
from itertools import chain
from operator import itemgetter
from typing import Any, Collection, Iterator, List, Mapping, Sequence

import numpy as np

from ..data import cells, results, tables, validation
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..data.rows import Decoder
from ..manifest import Field
from ..problems import Problem
from ..service import Service

TYPES = ("text/csv",)
NEEDS = None

UTF_8 = ("utf-8", "utf8", "us-ascii")
HEADER = {"present": True, "absent": False}
HEADER_HINT = "Send Content-Type: text/csv; header=present, or header=absent."

csv.field_size_limit(2**31 - 1)  # the limit of bodies bounds cells, too

Lines = Iterator[List[str]]


def read(
    service: Service, body: bytes, parameters: Mapping[str, str] = {}, ignored: Extras = None
) -> Rows:
    """Decode the rows of a table.

    The parameter `header` states whether the first line contains names. Otherwise it does if one
    is the name of an input, or if the model needs numbers and the line has none.

    Raises:
        Problem: 400, the body is not CSV in UTF-8. 415, another charset. 422, the first line may
            contain names or values. See also `Service.table`.
    """
    if parameters.get("charset", "utf-8").lower() not in UTF_8:
        raise Problem(415, "Send CSV in UTF-8.")
    first = next(_lines(body), None)
    if first is None:
        raise Problem(422, "The request contains no rows. Send at least one.")
    decoder = service.decoder(len(first))
    first = list(decoder.stored_names(first))
    names = first if has_names(decoder.fields, first, parameters.get("header")) else None
    kept = tables.input_positions(decoder, names, len(first), ignored)
    table = _Table(names, len(first), kept)
    return service.table(table.names, _columns(decoder, table, body))


def write(prediction: results.Prediction, parameters: Mapping[str, str] = {}) -> bytes:
    """Return the columns `prediction`, and `probability_setosa`... if any.

    Numbers are written as in JSON, and null is empty. The first line has the names, unless
    `header` is absent.
    """
    return table(results.columns(prediction), HEADER.get(parameters.get("header", ""), True))


def table(columns: Mapping[str, Any], header: bool) -> bytes:
    """Return columns, which are arrays or lists, as CSV. `header`: with a line of names."""
    lists = (c.tolist() if isinstance(c, np.ndarray) else c for c in columns.values())
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*(map(cells.cell_text, column) for column in lists)))
    text = file.getvalue()
    try:
        return text.encode()
    except UnicodeEncodeError:
        return results.replace_surrogates(text).encode()


def _lines(body: bytes) -> Lines:
    """Yield the cells of each line that is not empty."""
    # A stream, since the whole text may take four times the memory of the body.
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""), strict=True)
    try:
        yield from filter(None, reader)
    except UnicodeDecodeError as error:
        raise Problem(400, "The body is not text in UTF-8.") from error
    except csv.Error as error:
        raise Problem(400, f"The body is not CSV: {error} in line {reader.line_num}.") from error


def has_names(fields: Sequence[Field], first: Sequence[str], header: str | None) -> bool:
    """Return whether the first line contains names. `header`: the parameter, if any.

    Raises:
        Problem: 400, the parameter has another value. 422, both are possible, or names are not
            separated by commas.
    """
    names = {field.name for field in fields}
    is_named = not names.isdisjoint(first)
    if not is_named and len(names) > 1 and header != "absent":
        _require_commas(names, first)
    if header is not None:
        if header not in HEADER:
            raise Problem(400, f"The header of CSV must be present or absent. {HEADER_HINT}")
        return HEADER[header]
    if is_named:
        return True
    first = first[: len(fields)]  # further cells are errors in any case
    # pandas writes numbers for missing names.
    numbered = all(cell == str(index) for index, cell in enumerate(first))
    if not numbered and any(map(_is_value, first)):
        return False
    if numbered or not any(field.type not in ("string", "any") for field in fields):
        raise Problem(422, f"The first line may contain names or values. {HEADER_HINT}")
    return True


def _require_commas(names: Collection[str], first: Sequence[str]) -> None:
    """Raise a Problem for names between semicolons, as of spreadsheets in Europe, or tabs."""
    for separator, described in ((";", "semicolons"), ("\t", "tabs")):
        parts = ",".join(first).split(separator)
        if len(parts) > 1 and any(part.strip('"') in names for part in parts):
            raise Problem(
                422, f"The columns are separated by {described}. Send CSV with commas and decimal"
                " points, as df.to_csv(index=False) writes it.",
            )  # fmt: skip


def _is_value(cell: str) -> bool:
    return cell.lower() in cells.BOOLEANS or cells.cell_number(cell) != cell


class _Table:
    """The columns of a table.

    Attributes:
        has_names: The first line contains names.
        names: The names of the columns that are inputs.
        kept: The indexes of these columns, or None for all.
    """

    def __init__(self, names: list[str] | None, width: int, kept: list[int] | None) -> None:
        self.has_names = names is not None
        self.width = width
        self.names = names
        self.kept = kept
        if names is not None and kept is not None:
            self.names = tables.select(names, kept)
            self._take = itemgetter(*kept) if len(kept) > 1 else None

    def inputs(self, line: list[str]) -> Sequence[str]:
        """Return the cells of a line that are inputs, if some are not."""
        cells: Sequence[str] = (
            self._take(line) if self._take else tables.select(line, self.kept or ())
        )
        return cells


def _columns(decoder: Decoder, table: _Table, body: bytes) -> Sequence[Any]:
    width = len(decoder.fields) if table.names is None else len(table.names)
    if decoder.numeric and body.isascii() and b"_" not in body:
        try:
            lines = _rows(decoder, table, body)
            numbers = array("d", chain.from_iterable(map(float, line) for line in lines))
            return list(np.frombuffer(numbers).reshape(-1, width).T)
        except ValueError:
            pass  # a cell is empty or not a number
    parsers = [cells.cell_parser(field) for field in _fields(decoder, table.names)]
    typed = [
        [parse(cell) for parse, cell in zip(parsers, line)] for line in _rows(decoder, table, body)
    ]
    return list(zip(*typed)) or [()] * width


def _rows(decoder: Decoder, table: _Table, body: bytes) -> Iterator[Sequence[str]]:
    lines, kept = _lines(body), table.kept
    if table.has_names:
        next(lines)
    for row, line in enumerate(lines):
        decoder.check_count(row + 1)
        if len(line) != table.width:
            raise validation.width_problem(row, table.width, len(line))
        yield line if kept is None else table.inputs(line)


def _fields(decoder: Decoder, names: list[str] | None) -> Sequence[Field]:
    if names is None or decoder.in_order(names):
        return decoder.fields
    known = {field.name: field for field in decoder.fields}
    return [known[name] for name in names]
