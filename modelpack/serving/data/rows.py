"""Rows of JSON decoded by the signature.

`decode` is fast: it checks the types of whole columns. If it is in doubt, `explain` checks each
value. It either decodes the rows or reports the rows and columns of wrong values.
"""

from __future__ import annotations

import marshal
import math
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Collection, Iterable, Sequence

import numpy as np

from ..manifest import Field
from ..problems import Problem
from . import extra_inputs, validation
from .columns import (
    BEYOND,
    MISSING,
    NUMBER,
    FallbackRequiredError,
    Rows,
    are_exact,
    build,
    check_integral,
    check_range,
    fast_array,
)
from .extra_inputs import Extras
from .validation import fits

ADVICE = "; modelpack package --example adds the names of the columns of a table"
NUMERIC = NUMBER | {MISSING}
BOTH = NUMERIC | {bool}


class Decoder:
    """Decoder of rows.

    A row is a list in the order of the fields, a dict by name, or a value if there is one field.

    Attributes:
        named: The inputs have the names of the training.
        underscored: LightGBM may have replaced spaces in the names by "_".
        untyped: Positions of the inputs of any type.
        numeric: Rows can be a matrix of numbers.
        array_kinds: The kinds of numpy's dtypes that such a matrix may have.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        layout: str,
        max_rows: int,
        named: bool = True,
        underscored: bool = False,
    ) -> None:
        self.underscored = underscored
        self.fields = fields
        self.layout = layout
        self.named = named
        self.names = [field.name for field in fields]
        self.known = frozenset(self.names)
        self.max_rows = max_rows
        self.required = [index for index, field in enumerate(fields) if not field.nullable]
        self.table_columns = [field.name for field in fields if _must_be_column(field, layout)]
        required = {field.name for field in fields if not field.nullable}
        self.optional = [name for name in self.table_columns if name not in required]
        self.integers = [index for index, field in enumerate(fields) if field.type == "integer"]
        self.untyped = [index for index, field in enumerate(fields) if field.type == "any"]
        types = {field.type for field in fields}
        self.numeric = types <= ({"number"} if layout == "frame" else {"number", "integer", "any"})
        # A column of any type keeps its booleans, which are not numbers among other values.
        self._kinds, self.array_kinds = (NUMERIC, "iuf") if "any" in types else (BOTH, "iufb")
        self._spellings: dict[str, str] = {}
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def decode(self, rows: list[Any], ignored: Extras = None) -> Rows:
        """Decode rows without a look at each value.

        `ignored` receives the names of extra inputs. If it is None, they are rejected.

        Raises:
            FallbackRequiredError: The rows may be invalid. `explain` decides.
            Problem: See `check_count`.
        """
        self.check_count(len(rows))
        aligned = self._align(self._resolve_positions(rows, ignored), ignored)
        matrix = self._matrix(aligned) if self.numeric else None
        if matrix is not None:
            return matrix
        return [fast_array(field, values) for field, values in zip(self.fields, zip(*aligned))]

    def explain(self, rows: list[Any], ignored: Extras = None) -> Rows:
        """Decode rows value by value.

        Raises:
            Problem: 422, with the rows and columns of wrong values. See also `check_count`.
        """
        self.check_count(len(rows))
        rows = self._with_stored_names(self._resolve_positions(rows, ignored))
        errors: list[dict[str, Any]] = []
        for index, row in enumerate(rows):
            rejected = self.rejected_names(row, ignored) if isinstance(row, dict) else ()
            name_errors = (validation.name_error(n, self.expected_name(n)) for n in rejected)
            row_errors = validation.row_errors(self._fields_to_check(row), row, name_errors)
            errors += (
                {"row": index, **error}
                for error in islice(row_errors, validation.MAX_ERRORS - len(errors))
            )
            if len(errors) == validation.MAX_ERRORS:
                break
        if errors:
            raise validation.validation_problem(errors)
        return self._build(rows)

    def _fields_to_check(self, row: Any) -> Sequence[Field]:  # noqa: ARG002 - used by DictDecoder
        return self.fields

    def stored_names(self, names: Sequence[str]) -> Sequence[str]:
        """Return the names of a row, or of columns, with "_" for the spaces of names of training.

        LightGBM stores them so. A name stays unchanged if another one has the same stored name.
        """
        if not self.underscored or self.known.issuperset(names):
            return names
        stored = [name if name in self.known else name.replace(" ", "_") for name in names]
        counts = Counter(stored)
        pairs = zip(names, stored)
        return [new if new in self.known and counts[new] == 1 else name for name, new in pairs]

    def _with_stored_names(self, rows: list[Any]) -> list[Any]:
        if not self.underscored:
            return rows
        return [
            row
            if not isinstance(row, dict) or self.known.issuperset(row)
            else dict(zip(self.stored_names(list(row)), row.values()))
            for row in rows
        ]

    def rejected_names(self, names: Collection[str], ignored: Extras) -> Sequence[str]:
        """Return the names of a row, or of columns, that are rejected; add others to `ignored`.

        Extra inputs are rejected if `ignored` is None, if all names are extra, or if they look
        like the name of a missing input.
        """
        extra = [name for name in names if name not in self.known]
        if ignored is None or len(extra) == len(names):
            return extra
        misspelled = self._misspelled(extra, names) if extra else ()
        if misspelled:
            return misspelled
        extra_inputs.add(ignored, extra)
        return ()

    def expected_name(self, name: str) -> str:
        """Return what an error expects in place of an unknown name."""
        stored = name.replace(" ", "_")
        if self.underscored and stored in self.known:
            return f'"{validation.shorten(stored)}" (LightGBM replaced spaces in names by "_")'
        if not self.named:
            last = f' to "{self.names[-1]}"' if len(self.names) > 1 else ""
            count = f"{len(self.names)} {'values' if last else 'value'}"
            return f'"{self.names[0]}"{last}, or a list of {count}{ADVICE}'
        return validation.expected_names(self.names)

    def _misspelled(self, extra: Sequence[str], names: Collection[str]) -> Sequence[str]:
        """Return names with the letters and digits of a missing input, such as "Age" for "age".

        If they were ignored, the model would predict as if the value were unknown.
        """
        if self.layout == "dicts":  # in which most names are missing
            return ()
        if not self._spellings:
            self._spellings = {_letters(name): name for name in self.names}
        similar = ((name, self._spellings.get(_letters(name))) for name in extra)
        return [name for name, one in similar if one is not None and one not in names]

    def _build(self, rows: list[Any]) -> Rows:
        """Return the arrays of valid rows."""
        aligned = [self._values(row) for row in rows]
        return [build(field, values) for field, values in zip(self.fields, zip(*aligned))]

    def in_order(self, names: Sequence[str] | None) -> bool:
        """Return whether columns are taken in the order of the signature, whatever their names."""
        return names is None or not (self.named or self.known.intersection(names))

    def check_count(self, rows: int) -> None:
        """Check the number of rows.

        Raises:
            Problem: 422, there are none. 413, there are too many.
        """
        if not rows:
            raise Problem(422, "The request contains no rows. Send at least one.")
        if rows > self.max_rows:
            raise Problem(413, f"Expected at most {self.max_rows} rows, got {rows}.")

    def _resolve_positions(self, rows: list[Any], ignored: Extras) -> list[Any]:
        """Return dicts as lists if the model has no names, and their names can mean positions.

        All rows must have the same names in one order, as many as there are inputs. pandas names
        columns without names "0", "1", ...; these are positions in any order. Others are ignored.
        """
        if self.named or not isinstance(rows[0], dict) or self.layout == "dicts":
            return rows
        names = tuple(rows[0])
        alike = all(isinstance(row, dict) and tuple(row) == names for row in rows)
        if not alike or len(names) != len(self.names) or not self.in_order(names):
            return rows
        numbers = [str(number) for number in range(len(names))]
        if set(names) == set(numbers):
            return [[row[number] for number in numbers] for row in rows]
        if len(names) > 1 and ignored is not None:
            extra_inputs.add(ignored, names)  # a warning: clients may sort names
        return [list(row.values()) for row in rows]

    def _align(self, rows: list[Any], ignored: Extras) -> Sequence[Sequence[Any]]:
        """Return the values of each row in the order of the fields: all lists, or all tuples."""
        kinds = set(map(type, rows))
        if kinds == {list} and set(map(len, rows)) == {len(self.names)}:
            return rows
        if kinds == {dict}:
            return self._pick_values(rows, ignored)
        if len(self.names) == 1 and not kinds & {dict, list}:
            return [[value] for value in rows]
        raise FallbackRequiredError

    def _pick_values(self, rows: list[dict[str, Any]], ignored: Extras) -> Sequence[Sequence[Any]]:
        if self._pick and set(map(len, rows)) == {len(self.names)}:
            with suppress(KeyError):  # an unknown name in place of a nullable input
                return list(map(self._pick, rows))
        rows = self._with_stored_names(rows)
        for names in dict.fromkeys(map(tuple, rows)):
            if not self.known.issuperset(names) and self.rejected_names(names, ignored):
                raise FallbackRequiredError
        return [self._values(row) for row in rows]

    def _values(self, row: Any) -> list[Any]:
        if isinstance(row, dict):
            return list(map(row.get, self.names))
        return row if isinstance(row, list) else [row]

    def _matrix(self, aligned: Sequence[Sequence[Any]]) -> np.ndarray | None:
        """Return the matrix of rows of numbers and missing values, or None for other rows."""
        if len(aligned) * len(self.names) >= MIN_PACKED_VALUES:
            matrix = float_matrix(aligned, len(self.names))
            if matrix is not None:
                return self._check_matrix(matrix, {float})
        kinds = set(map(type, chain.from_iterable(aligned)))
        if not kinds <= self._kinds:
            return None
        return self._check_matrix(np.array(aligned, np.float64), kinds)

    def _check_matrix(self, matrix: np.ndarray, kinds: set[type]) -> np.ndarray | None:
        """Return `matrix` if it is valid, or None if it may not have the values of the rows.

        `kinds`: the types of the values in JSON.
        """
        if MISSING in kinds and self.required and np.isnan(matrix[:, self.required]).any():
            raise FallbackRequiredError
        if self.integers:
            integers = matrix[:, self.integers]
            check_range(integers)
            if float in kinds:
                check_integral(integers)
        if self.untyped and int in kinds and not are_exact(matrix[:, self.untyped]):
            return None
        return matrix


def _must_be_column(field: Field, layout: str) -> bool:
    """Return whether a table must have the column of an input, even if all its values are missing.

    The model itself rejects a DataFrame without a column that it reads. The others, such as those
    that a ColumnTransformer drops, have neither a type nor an example. Most names of dicts are
    missing in a row.
    """
    is_read = field.type != "any" or field.example is not None
    return not field.nullable or (is_read and layout != "dicts")


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold() or name


def unnamed_fields(width: int) -> list[Field]:
    """Return the fields of a model whose file does not list them."""
    return [Field(f"x{index}", "any", nullable=True) for index in range(width)]


class UnlistedDecoder(Decoder):
    """Decoder of rows for a model whose file does not list its inputs."""

    def __init__(self, width: int, layout: str, max_rows: int) -> None:
        super().__init__(unnamed_fields(width), layout, max_rows, named=False)

    def expected_name(self, name: str) -> str:  # noqa: ARG002 - as all decoders
        return f"a list of values, because the model file does not list its inputs{ADVICE}"


class DictDecoder(Decoder):
    """Decoder of rows for models that take dicts without missing values.

    It checks each row and builds no columns: a model may have tens of thousands of inputs, and a
    row ten of them.
    """

    def __init__(self, fields: Sequence[Field], max_rows: int, named: bool = True) -> None:
        super().__init__(fields, "dicts", max_rows, named)
        self.by_name = {field.name: field for field in fields}

    def decode(self, rows: list[Any], ignored: Extras = None) -> Rows:
        """Decode rows. See `Decoder.decode`."""
        self.check_count(len(rows))
        if not all(self._is_valid(row, ignored) for row in rows):
            raise FallbackRequiredError
        return self._build(rows)

    def _is_valid(self, row: Any, ignored: Extras) -> bool:
        if isinstance(row, list) and len(row) == len(self.names):
            row = dict(zip(self.names, row))
        return (
            isinstance(row, dict)
            and (row.keys() <= self.known or not self.rejected_names(row, ignored))
            and all(fits(field, row.get(field.name, ...)) for field in self._fields_to_check(row))
            and not any(type(value) is float and abs(value) >= BEYOND for value in row.values())
        )

    def _fields_to_check(self, row: Any) -> Sequence[Field]:
        if not isinstance(row, dict):
            return self.fields
        required = [self.fields[index] for index in self.required]
        named = [self.by_name[name] for name in row if name in self.by_name]
        return [*required, *(field for field in named if field.nullable)]

    def _build(self, rows: list[Any]) -> Rows:
        dicts = np.empty(len(rows), object)
        dicts[:] = [self._dict(row) for row in rows]
        return [dicts]

    def _dict(self, row: Any) -> dict[str, Any]:
        pairs: Iterable[tuple[str, Any]]
        pairs = row.items() if isinstance(row, dict) else zip(self.names, self._values(row))
        return {
            name: _typed(self.by_name[name], value)
            for name, value in pairs
            if name in self.by_name
            and value is not None
            and not (type(value) is float and math.isnan(value))
        }


def _typed(field: Field, value: Any) -> Any:
    if field.type == "number":
        return float(value)
    return int(value) if field.type == "integer" else value


# Version 2 of `marshal` writes a list as a mark, its length and its values, and a float as a mark
# and eight bytes. Other values have other marks. So if the marks at the positions of floats are
# those of floats, all values are floats, and their bytes are at known positions.
MIN_PACKED_VALUES = 100  # for fewer values, it is slower
VERSION = 2  # the last without references to earlier values
FLOAT = ord("g")
HEAD = 5  # bytes of the mark and the length of a list or tuple
FIRST = 20  # values that are checked first: most rows are like the first one


def float_matrix(rows: Any, width: int) -> np.ndarray | None:
    """Return float64 (n_rows, width), or None if a value is not a float.

    `rows` has at least one row. All rows are lists of `width` values, or all are tuples.
    """
    if set(map(type, rows[0][:FIRST])) != {float}:
        return None
    packed, row = marshal.dumps(rows, VERSION), _row(width)
    if len(packed) != HEAD + len(rows) * row.itemsize:
        return None
    values = np.frombuffer(packed, row, offset=HEAD)["values"]
    if (values["mark"] != FLOAT).any():
        return None
    return np.array(values["value"], np.float64, order="C")


@lru_cache(maxsize=16)
def _row(width: int) -> np.dtype[Any]:
    value = np.dtype([("mark", "u1"), ("value", "<f8")])
    return np.dtype([("head", f"V{HEAD}"), ("values", value, (width,))])
