"""Inputs of several dimensions. Their values in row-major order are consecutive columns."""

from __future__ import annotations

from itertools import chain
from typing import Any, Iterable, Sequence

import numpy as np

from ..manifest import Tensor
from . import validation


class Tensors:
    """The tensors that the columns of a model are the values of; none for most models.

    Attributes:
        shapes: Name -> shape of the value in a row, -1 for an unknown size.
        lists: Lists that the row of a request has at most.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self.shapes = {tensor.name: tensor.shape for tensor in tensors}
        self.lists = 1 + sum(map(_lists, self.shapes.values()))
        self._shape = next(iter(self.shapes.values())) if len(self.shapes) == 1 else None

    def are_names(self, names: Iterable[Any]) -> bool:
        """Return whether names are those of all tensors."""
        return bool(self.shapes) and set(names) == set(self.shapes)

    def flat_rows(self, rows: list[Any]) -> list[Any]:
        """Return rows of nested lists as lists of values, and any other row as it is.

        A row is the value of the only tensor, a list of one value for each tensor, or a dict by
        their names.

        Raises:
            Problem: 422, a value has another shape.
        """
        if not self.shapes:
            return rows
        return [self._flat_row(index, row) for index, row in enumerate(rows)]

    def _flat_row(self, index: int, row: Any) -> Any:
        if isinstance(row, dict):
            if not self.are_names(row) or not any(type(each) is list for each in row.values()):
                return row
            values: Sequence[Any] = [row[name] for name in self.shapes]
        elif not isinstance(row, list) or not any(type(each) is list for each in row):
            return row
        elif self._shape and not (len(row) == 1 and fits(row[0], self._shape)):
            values = [row]
        else:
            values = row
        if len(values) != len(self.shapes):
            raise _wrong_row(index, None, f"{len(self.shapes)} tensors", str(len(values)))
        pairs = zip(values, self.shapes.items())
        parts = [_flat(value, shape, index, name) for value, (name, shape) in pairs]
        return list(chain.from_iterable(parts))

    def flat_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """Return values of the only tensor as (n_rows, n_inputs), and others as they are."""
        if self._shape is None or not len(matrix) or not is_shape(matrix.shape[1:], self._shape):
            return matrix
        return matrix.reshape(len(matrix), -1)

    def nested(self, row: list[Any]) -> Any:
        """Return a row of values as `flat_rows` takes it: the only tensor, or tensors by name."""
        values, by_name = np.array(row, object), {}
        for name, shape in self.sizes(len(row)).items():
            size = _product(shape)
            by_name[name], values = values[:size].reshape(shape).tolist(), values[size:]
        return by_name if self._shape is None else next(iter(by_name.values()))

    def sizes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes without unknown sizes, for a model of so many inputs."""
        known = {name: _product(shape) for name, shape in self.shapes.items()}
        rest = inputs - sum(size for size in known.values() if size > 0)
        return {
            name: tuple(rest // -known[name] if size < 0 else size for size in shape)
            if known[name] < 0 and inputs
            else shape
            for name, shape in self.shapes.items()
        }


def is_shape(shape: Sequence[int], expected: Sequence[int]) -> bool:
    """Return whether a shape is the expected one, of which a size may be unknown."""
    return len(shape) == len(expected) and all(
        size == known or known < 0 for size, known in zip(shape, expected)
    )


def fits(value: Any, shape: Sequence[int]) -> bool:
    """Return whether the first values of nested lists have a shape."""
    for size in shape:
        if type(value) is not list or not value or size not in (len(value), -1):
            return False
        value = value[0]
    return type(value) is not list


def _flat(value: Any, shape: Sequence[int], row: int, name: str) -> list[Any]:
    """Return the values of nested lists of a shape."""
    flat = [value]
    for size in shape:
        lengths = {len(each) if type(each) is list else -1 for each in flat}
        if len(lengths) > 1 or not (lengths == {size} or (size < 0 and lengths != {-1})):
            raise _wrong_row(row, name, f"lists of the shape {_text(shape)}", "another shape")
        flat = list(chain.from_iterable(flat))
    return flat


def _wrong_row(row: int, name: str | None, expected: str, got: str) -> Exception:
    column = None if name is None else validation.shorten(name)
    error = {"row": row, "column": column, "expected": expected, "got": got}
    return validation.validation_problem([error])


def _text(shape: Sequence[int]) -> str:
    return f"[{', '.join('any' if size < 0 else str(size) for size in shape)}]"


def _product(shape: Sequence[int]) -> int:
    """Return the number of values; for an unknown size, the product of the others times -1."""
    count = 1
    for size in shape:
        count *= size
    return count


def _lists(shape: Sequence[int]) -> int:
    """Return the lists that the value of a tensor has; unknown sizes count 1,000."""
    count, total = 1, 0
    for size in shape:
        total += count
        count *= size if size > 0 else 1000
    return total
