"""Rows of JSON decoded by the signature.

Two ways through. `decode` is fast: it asks of whole columns whether they are what the signature
says, and knows no words for what is wrong. Whatever it has doubts about goes through `explain`,
value by value, which either names the row and column that are wrong or finds that nothing is.
"""

from __future__ import annotations

import marshal
import math
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
    build,
    check_integral,
    check_range,
    fast_array,
)
from .extra_inputs import Extras
from .validation import fits

NUMERIC = NUMBER | {MISSING}
BOTH = NUMERIC | {bool}


class Decoder:
    """Of rows for `fields`. Each row is a list of values in their order, a dict of them by name in
    any order, or a bare value where there is one field. `named`: the names are the author's own.
    `array_kinds`: of numpy's dtypes, those that a matrix of numbers may have.
    """

    def __init__(
        self, fields: Sequence[Field], layout: str, most_rows: int, named: bool = True
    ) -> None:
        self.fields = fields
        self.layout = layout
        self.named = named
        self.names = [field.name for field in fields]
        self.known = frozenset(self.names)
        self.most_rows = most_rows
        self.required = [index for index, field in enumerate(fields) if not field.nullable]
        self.integers = [index for index, field in enumerate(fields) if field.type == "integer"]
        types = {field.type for field in fields}
        self.numeric = types <= ({"number"} if layout == "frame" else {"number", "integer", "any"})
        # A column of any type keeps its booleans, which are no numbers among other values.
        self._kinds, self.array_kinds = (NUMERIC, "iuf") if "any" in types else (BOTH, "iufb")
        self._spellings: dict[str, str] = {}
        self._pick = itemgetter(*self.names) if len(self.names) > 1 else None

    def decode(self, rows: list[Any], ignored: Extras = None) -> Rows:
        """Rows that are plainly right. Names that are no inputs are added to `ignored`; without it
        they are in doubt.

        Raises:
            FallbackRequiredError: they may not be; `explain` knows.
            Problem: 422 there are none, 413 there are too many.
        """
        self.count(len(rows))
        aligned = self._align(self._without_names(rows, ignored), ignored)
        matrix = self._matrix(aligned) if self.numeric else None
        if matrix is not None:
            return matrix
        return [fast_array(field, values) for field, values in zip(self.fields, zip(*aligned))]

    def explain(self, rows: list[Any], ignored: Extras = None) -> Rows:
        """The same, value by value.

        Raises:
            Problem: 422 names the row and column of what is wrong; else as `decode`.
        """
        self.count(len(rows))
        rows = self._without_names(rows, ignored)
        errors: list[dict[str, Any]] = []
        for index, row in enumerate(rows):
            refused = self.refused(row, ignored) if isinstance(row, dict) else ()
            found = islice(
                validation.row_errors(self._asked(row), row, refused),
                validation.MAX_ERRORS - len(errors),
            )
            errors += ({"row": index, **error} for error in found)
            if len(errors) == validation.MAX_ERRORS:
                break
        if errors:
            raise validation.validation_problem(errors)
        return self._built(rows)

    def _asked(self, row: Any) -> Sequence[Field]:  # noqa: ARG002 - other decoders do look at it
        """The fields whose values in `row` are looked at."""
        return self.fields

    def refused(self, names: Collection[str], ignored: Extras) -> Sequence[str]:
        """Which names, of a row or of columns, are refused: those that are no inputs, if none may
        be ignored or if there are no others; and "Age", if there is no "age". Those that may be
        ignored are added to `ignored`.
        """
        strange = [name for name in names if name not in self.known]
        if ignored is None or len(strange) == len(names):
            return strange
        misspelled = self._misspelled(strange, names) if strange else ()
        if misspelled:
            return misspelled
        extra_inputs.add(ignored, strange)
        return ()

    def _misspelled(self, strange: Sequence[str], names: Collection[str]) -> Sequence[str]:
        """Those with the letters and digits of an input that is not among `names`, such as "Age"
        where "age" is missing: without it, the model would answer as if nobody knew the age.
        """
        if self.layout == "dicts":  # in which most names are missing
            return ()
        if not self._spellings:
            self._spellings = {_letters(name): name for name in self.names}
        meant = ((name, self._spellings.get(_letters(name))) for name in strange)
        return [name for name, one in meant if one is not None and one not in names]

    def _built(self, rows: list[Any]) -> Rows:
        """Rows that are right."""
        aligned = [self._values(row) for row in rows]
        return [build(field, values) for field, values in zip(self.fields, zip(*aligned))]

    def in_order(self, names: Sequence[str] | None) -> bool:
        """Whether columns of these names are in the order of the signature: there are none, or
        they tell nothing.
        """
        return names is None or not (self.named or self.known.intersection(names))

    def count(self, rows: int) -> None:
        """Raises:
        Problem: 422 there are none, 413 there are too many.
        """
        if not rows:
            raise Problem(422, "The request contains no rows. Send at least one.")
        if rows > self.most_rows:
            raise Problem(413, f"{rows} rows came; a request takes {self.most_rows}.")

    def _without_names(self, rows: list[Any], ignored: Extras) -> list[Any]:
        """Objects of a model without names as lists, if their names can only stand for positions:
        all rows have the same, in one order, and as many as there are inputs. The names of columns
        that have none in pandas, "0", "1", ..., are positions in any order; others are ignored.
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
            extra_inputs.add(ignored, names)  # clients that sort them get other answers
        return [list(row.values()) for row in rows]

    def _align(self, rows: list[Any], ignored: Extras) -> Sequence[Sequence[Any]]:
        """The values of each row in the order of the fields: all lists, or all tuples."""
        kinds = set(map(type, rows))
        if kinds == {list} and set(map(len, rows)) == {len(self.names)}:
            return rows
        if kinds == {dict}:
            return self._picked(rows, ignored)
        if len(self.names) == 1 and not kinds & {dict, list}:
            return [[value] for value in rows]
        raise FallbackRequiredError

    def _picked(self, rows: list[dict[str, Any]], ignored: Extras) -> Sequence[Sequence[Any]]:
        if self._pick and set(map(len, rows)) == {len(self.names)}:
            with suppress(KeyError):  # in the place of an unknown name, one that may be missing
                return list(map(self._pick, rows))
        for names in dict.fromkeys(map(tuple, rows)):
            if not self.known.issuperset(names) and self.refused(names, ignored):
                raise FallbackRequiredError
        return [self._values(row) for row in rows]

    def _values(self, row: Any) -> list[Any]:
        if isinstance(row, dict):
            return list(map(row.get, self.names))
        return row if isinstance(row, list) else [row]

    def _matrix(self, aligned: Sequence[Sequence[Any]]) -> np.ndarray | None:
        """None where there is more than numbers and what is missing."""
        if len(aligned) * len(self.names) >= MIN_PACKED_VALUES:
            matrix = float_matrix(aligned, len(self.names))
            if matrix is not None:
                return self._checked(matrix, {float})
        kinds = set(map(type, chain.from_iterable(aligned)))
        return self._checked(np.array(aligned, np.float64), kinds) if kinds <= self._kinds else None

    def _checked(self, matrix: np.ndarray, kinds: set[type]) -> np.ndarray:
        """`kinds`: of the values that it was made of."""
        if MISSING in kinds and self.required and np.isnan(matrix[:, self.required]).any():
            raise FallbackRequiredError
        if self.integers:
            whole = matrix[:, self.integers]
            check_range(whole)
            if float in kinds:
                check_integral(whole)
        return matrix


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold() or name


def unnamed_fields(width: int) -> list[Field]:
    """The fields of a model whose file does not tell them."""
    return [Field(f"x{index}", "any", nullable=True) for index in range(width)]


# Value by value, without the detour over columns: such a model may have tens of thousands of
# inputs, of which a row names ten.
class DictDecoder(Decoder):
    """As `Decoder`, but gives one array of dicts, name -> value, without what is missing."""

    def __init__(self, fields: Sequence[Field], most_rows: int, named: bool = True) -> None:
        super().__init__(fields, "dicts", most_rows, named)
        self.by_name = {field.name: field for field in fields}

    def decode(self, rows: list[Any], ignored: Extras = None) -> Rows:
        self.count(len(rows))
        if not all(self._is_plain(row, ignored) for row in rows):
            raise FallbackRequiredError
        return self._built(rows)

    def _is_plain(self, row: Any, ignored: Extras) -> bool:
        if isinstance(row, list) and len(row) == len(self.names):
            row = dict(zip(self.names, row))
        return (
            isinstance(row, dict)
            and (row.keys() <= self.known or not self.refused(row, ignored))
            and all(fits(field, row.get(field.name, ...)) for field in self._asked(row))
            and not any(type(value) is float and abs(value) >= BEYOND for value in row.values())
        )

    def _asked(self, row: Any) -> Sequence[Field]:
        if not isinstance(row, dict):
            return self.fields
        needed = [self.fields[index] for index in self.required]
        named = [self.by_name[name] for name in row if name in self.by_name]
        return [*needed, *(field for field in named if field.nullable)]

    def _built(self, rows: list[Any]) -> Rows:
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


# `marshal` of its version 2 writes a list as a mark, its length and its values, a float as a mark
# and its eight bytes, and whatever else with another mark. So the values lie where those of floats
# would lie, as long as all marks before are those of floats: it is enough to look at the marks.
MIN_PACKED_VALUES = 100  # values, from which on it pays
VERSION = 2  # the last that writes a value again where it is there twice, not a reference to it
FLOAT = ord("g")
HEAD = 5  # bytes: the mark of a list or tuple, and its length
FIRST = 20  # values that are looked at before all are packed: most rows are as the first


def float_matrix(rows: Any, width: int) -> np.ndarray | None:
    """float64 (n_rows, width) of one or more rows, all of them lists of `width` values, or all
    tuples; None where a value is no float.
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
