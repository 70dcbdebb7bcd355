"""Chunks of rows, and their predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Mapping, Sequence

import numpy as np

from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..data.results import Prediction
from ..problems import Problem
from ..service import Service


class Chunk:
    """Some rows of a file. `lines` has the number of each row's line, if the format has lines."""

    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        """Decode the rows.

        Args:
            service: The service that predicts.
            extra: Columns that are copied, but are not inputs of the model.
            ignored: Receives the names of other extra inputs. None: they are rejected.

        Raises:
            Problem: See `Service.decode_rows`. Rows are counted from the start of the chunk.
        """
        raise NotImplementedError

    def take(self, indexes: Sequence[int]) -> Chunk:
        """Return a chunk of these rows."""
        raise NotImplementedError

    @property
    def names(self) -> list[str] | None:
        """The names of the columns, or None if rows have no names."""
        return None

    def values(self, index: int, name: str) -> Any:
        """Return a column as an array or a list, by name if there are names, or by index."""
        raise NotImplementedError


def take(values: Any, indexes: Sequence[int]) -> Any:
    """Return the values at these indexes, or None if `values` is None."""
    return None if values is None else [values[index] for index in indexes]


@dataclass(frozen=True)
class ChunkResult:
    """The predictions for a chunk, and the columns that were copied from its rows, by name."""

    answer: Prediction
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.answer.predictions)

    def columns(self) -> dict[str, Any]:
        """Return the copied columns, followed by `results.columns`.

        Raises:
            Problem: 400, two columns have the same name.
        """
        predicted = results.columns(self.answer)
        for name in self.kept:
            if name in predicted:
                detail = f"The column {name!a} cannot be kept: the predictions have this name, too."
                raise Problem(400, detail)
        return {**self.kept, **predicted}


def concatenate(low: Prediction, high: Prediction) -> Prediction:
    predictions = np.concatenate([low.predictions, high.predictions])
    if low.probabilities is None or high.probabilities is None:
        return Prediction(predictions)
    return Prediction(predictions, [*low.probabilities, *high.probabilities])


def scatter(
    answer: Prediction | None, indexes: list[int], count: int, like: Prediction
) -> Prediction:
    """Return predictions for `count` rows, which are missing at all but these indexes.

    Missing values are NaN among floats, and None otherwise. `like`: predictions of the same form.
    """
    result = _blank(like if answer is None else answer, count)
    if answer is not None:
        result.predictions[indexes] = answer.predictions
        if result.probabilities is not None and answer.probabilities is not None:
            for index, value in zip(indexes, answer.probabilities):
                result.probabilities[index] = value
    return result


def _blank(like: Prediction, count: int) -> Prediction:
    shape, dtype = (count, *like.predictions.shape[1:]), like.predictions.dtype
    is_float = dtype.kind == "f"
    predictions = np.full(shape, np.nan if is_float else None, dtype if is_float else object)
    if not like.probabilities:
        return Prediction(predictions, like.probabilities)
    return Prediction(predictions, [_nothing(like.probabilities[0])] * count)


def _nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nothing(part) for name, part in value.items()}
    return [_nothing(part) for part in value] if isinstance(value, list) else None


def without(rows: list[Any], extra: Collection[str]) -> list[Any]:
    """Return rows without the members with these names."""
    if not extra:
        return rows
    return [_inputs(row, extra) if isinstance(row, dict) else row for row in rows]


def _inputs(row: dict[str, Any], extra: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in extra}


def names(rows: list[Any]) -> list[str] | None:
    """Return the names in rows that are objects, or None if there are none."""
    objects = [row for row in rows if isinstance(row, dict)]
    return list(dict.fromkeys(name for row in objects for name in row)) if objects else None


def value(row: Any, index: int, name: str) -> Any:
    """Return a value of a row, or None if it is missing."""
    if isinstance(row, dict):
        return row.get(name)
    if isinstance(row, list):
        return row[index] if index < len(row) else None
    return row if index == 0 else None


def to_list(values: Any) -> list[Any]:
    """Return an array or a sequence as a list."""
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
