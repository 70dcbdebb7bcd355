"""From rows as they came over the wire to the dicts that a DictVectorizer takes.

Value by value, without the detour over columns: such a model may have tens of thousands of inputs,
of which a row names ten.
"""

from __future__ import annotations

import math
from typing import Any, Iterable, Sequence

import numpy as np

from .columns import BEYOND, DoubtError, Rows
from .extras import Extras
from .manifest import Field
from .misfits import fits
from .rows import Decoder


class DictDecoder(Decoder):
    """As `Decoder`, but gives one array of dicts, name -> value, without what is missing."""

    def __init__(self, fields: Sequence[Field], most_rows: int, named: bool = True) -> None:
        super().__init__(fields, "dicts", most_rows, named)
        self.by_name = {field.name: field for field in fields}

    def decode(self, rows: list[Any], ignored: Extras = None) -> Rows:
        self.count(len(rows))
        if not all(self._is_plain(row, ignored) for row in rows):
            raise DoubtError
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
