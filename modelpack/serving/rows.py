"""From rows as they came over the wire to rows as the model takes them.

Two ways through. `decode` is fast: it asks of whole columns whether they are what the signature
says, and knows no words for what is wrong. Whatever it has doubts about goes through `explain`,
value by value, which either names the row and column that are wrong or finds that nothing is.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Collection, Sequence

import numpy as np

from . import extras, floats, misfits
from .columns import MISSING, NUMBER, DoubtError, Rows, build, check_integral, check_range, plain
from .extras import Extras
from .manifest import Field
from .problems import Problem

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
            DoubtError: they may not be; `explain` knows.
            Problem: 422 there are none, 413 there are too many.
        """
        self.count(len(rows))
        aligned = self._align(self._without_names(rows, ignored), ignored)
        matrix = self._matrix(aligned) if self.numeric else None
        if matrix is not None:
            return matrix
        return [plain(field, values) for field, values in zip(self.fields, zip(*aligned))]

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
                misfits.of_row(self._asked(row), row, refused), misfits.MOST - len(errors)
            )
            errors += ({"row": index, **error} for error in found)
            if len(errors) == misfits.MOST:
                break
        if errors:
            raise misfits.problem(errors)
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
        extras.add(ignored, strange)
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
            raise Problem(422, "There are no rows. Send at least one.")
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
            extras.add(ignored, names)  # clients that sort them get other answers
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
        raise DoubtError

    def _picked(self, rows: list[dict[str, Any]], ignored: Extras) -> Sequence[Sequence[Any]]:
        if self._pick and set(map(len, rows)) == {len(self.names)}:
            with suppress(KeyError):  # in the place of an unknown name, one that may be missing
                return list(map(self._pick, rows))
        for names in dict.fromkeys(map(tuple, rows)):
            if not self.known.issuperset(names) and self.refused(names, ignored):
                raise DoubtError
        return [self._values(row) for row in rows]

    def _values(self, row: Any) -> list[Any]:
        if isinstance(row, dict):
            return list(map(row.get, self.names))
        return row if isinstance(row, list) else [row]

    def _matrix(self, aligned: Sequence[Sequence[Any]]) -> np.ndarray | None:
        """None where there is more than numbers and what is missing."""
        if len(aligned) * len(self.names) >= floats.MANY:
            matrix = floats.matrix(aligned, len(self.names))
            if matrix is not None:
                return self._checked(matrix, {float})
        kinds = set(map(type, chain.from_iterable(aligned)))
        return self._checked(np.array(aligned, np.float64), kinds) if kinds <= self._kinds else None

    def _checked(self, matrix: np.ndarray, kinds: set[type]) -> np.ndarray:
        """`kinds`: of the values that it was made of."""
        if MISSING in kinds and self.required and np.isnan(matrix[:, self.required]).any():
            raise DoubtError
        if self.integers:
            whole = matrix[:, self.integers]
            check_range(whole)
            if float in kinds:
                check_integral(whole)
        return matrix


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold() or name


def unnamed(width: int) -> list[Field]:
    """The fields of a model whose file does not tell them."""
    return [Field(f"x{index}", "any", nullable=True) for index in range(width)]
