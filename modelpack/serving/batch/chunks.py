"""Some rows of a file, as they stand in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Collection, Sequence

import numpy as np

from .. import misfits
from ..columns import DoubtError, Rows
from ..problems import Problem
from ..service import Service


class Chunk:
    """`lines`: where in the file each row begins, from 1; None in files without lines."""

    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def decode(self, service: Service, extra: Collection[str]) -> Rows:
        """The rows as the model takes them. `extra`: names of what is no input of the model.

        Raises:
            Problem: as `Service.rows`.
        """
        raise NotImplementedError

    def take(self, indexes: Sequence[int]) -> Chunk:
        """Only these rows."""
        raise NotImplementedError

    @property
    def names(self) -> list[str] | None:
        """Of the columns; None where rows are values in order."""
        return None

    def values(self, index: int, name: str) -> Any:
        """One column, an array or a list: by its name where there are names, else its position."""
        raise NotImplementedError


@dataclass(frozen=True)
class Table(Chunk):
    """Columns of equal length: arrays (n_rows,) or lists. `header`: their names."""

    header: list[str] | None
    columns: list[Any]
    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def decode(self, service: Service, extra: Collection[str]) -> Rows:
        names, columns = self.header, self.columns
        if names and extra:
            inputs = [index for index, name in enumerate(names) if name not in extra]
            names, columns = [names[i] for i in inputs], [columns[i] for i in inputs]
        return service.table(names, columns)

    def take(self, indexes: Sequence[int]) -> Table:
        columns = [taken(column, indexes) for column in self.columns]
        return type(self)(self.header, columns, taken(self.lines, indexes))

    @property
    def names(self) -> list[str] | None:
        return self.header

    def values(self, index: int, name: str) -> Any:
        return self.columns[self.header.index(name) if self.header else index]


@dataclass(frozen=True)
class Matrix(Chunk):
    """An array (n_rows, n_inputs)."""

    matrix: np.ndarray

    def __len__(self) -> int:
        return len(self.matrix)

    def decode(self, service: Service, extra: Collection[str]) -> Rows:  # noqa: ARG002 - no names
        return service.matrix(self.matrix)

    def take(self, indexes: Sequence[int]) -> Matrix:
        return Matrix(self.matrix[list(indexes)])

    def values(self, index: int, name: str) -> Any:  # noqa: ARG002 - there are none
        return self.matrix[:, index]


@dataclass(frozen=True)
class Listed(Chunk):
    """A JSON value a row: a list in order, an object by name, or a value.

    `rows`: parsed fast. `exactly`: parses a row again, by its place in `rows`, so that it can be
    told what is wrong with it. `plain`: no row of these needed that already.
    """

    rows: list[Any]
    exactly: Callable[[int], Any]
    plain: bool = True
    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def decode(self, service: Service, extra: Collection[str]) -> Rows:
        if self.plain:
            try:
                rows = _without(self.rows, extra)
                return service.decoder(_width(rows)).decode(rows)
            except DoubtError:
                pass
        rows = [self.exactly(index) for index in range(len(self))]
        for index, row in enumerate(rows):
            if isinstance(row, Problem):
                told = {"column": None, "expected": "JSON", "got": row.detail}
                raise misfits.problem([{"row": index, **told}])
        return service.rows(_without(rows, extra))

    def take(self, indexes: Sequence[int]) -> Listed:
        return Listed(
            taken(self.rows, indexes),
            lambda index: self.exactly(indexes[index]),
            self.plain,
            taken(self.lines, indexes),
        )

    @property
    def names(self) -> list[str] | None:
        first = self.rows[0] if self.rows else None
        return list(first) if isinstance(first, dict) else None

    def values(self, index: int, name: str) -> Any:
        return [_value(row, index, name) for row in self.rows]


def _value(row: Any, index: int, name: str) -> Any:
    if isinstance(row, dict):
        return row.get(name)
    if isinstance(row, list):
        return row[index] if index < len(row) else None
    return row if index == 0 and not isinstance(row, Problem) else None


def _without(rows: list[Any], extra: Collection[str]) -> list[Any]:
    if not extra:
        return rows
    return [_inputs(row, extra) if isinstance(row, dict) else row for row in rows]


def _inputs(row: dict[str, Any], extra: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in extra}


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if rows and isinstance(rows[0], list) else 1


def taken(values: Any, indexes: Sequence[int]) -> Any:
    """These of the values of an array or a list; None of None."""
    if isinstance(values, np.ndarray):
        return values[list(indexes)]
    return None if values is None else [values[index] for index in indexes]
