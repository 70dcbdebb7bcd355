"""Chunks of rows, and their answers."""

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
    """`lines`: where in the file each row begins, from 1; None in files without lines."""

    lines: Sequence[int] | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    def decode(self, service: Service, extra: Collection[str], ignored: Extras = None) -> Rows:
        """The rows as the model takes them. `extra`: names of what is no input of the model and is
        kept from it. `ignored`: as in `Service.table`.

        Raises:
            Problem: as `Service.rows`; a row is told by its index here.
        """
        raise NotImplementedError

    def take(self, indexes: Sequence[int]) -> Chunk:
        """Only these rows, in their order."""
        raise NotImplementedError

    @property
    def names(self) -> list[str] | None:
        """Of the columns; None where rows are values in order."""
        return None

    def values(self, index: int, name: str) -> Any:
        """One column, an array or a list: by its name where there are names, else its position."""
        raise NotImplementedError


def take(values: Any, indexes: Sequence[int]) -> Any:
    """These of some values; None of None."""
    return None if values is None else [values[index] for index in indexes]


@dataclass(frozen=True)
class ChunkResult:
    """`kept`: name -> values, a column of the rows."""

    answer: Prediction
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.answer.predictions)

    def columns(self) -> dict[str, Any]:
        """Name -> values: what is kept, then `answers.columns`.

        Raises:
            Problem: 400 two of them are of one name.
        """
        found = results.columns(self.answer)
        for name in self.kept:
            if name in found:
                detail = f"The column {name!a} cannot be kept: the answers have one of that name."
                raise Problem(400, detail)
        return {**self.kept, **found}


def concatenate(low: Prediction, high: Prediction) -> Prediction:
    """Answers one after the other."""
    predictions = np.concatenate([low.predictions, high.predictions])
    if low.probabilities is None or high.probabilities is None:
        return Prediction(predictions)
    return Prediction(predictions, [*low.probabilities, *high.probabilities])


def scatter(
    answer: Prediction | None, places: list[int], count: int, like: Prediction
) -> Prediction:
    """The answers at these places of `count`, and nothing at the others: NaN among floats, else
    None. `like`: some answers, which tell their form.
    """
    whole = _blank(like if answer is None else answer, count)
    if answer is not None:
        whole.predictions[places] = answer.predictions
        if whole.probabilities is not None and answer.probabilities is not None:
            for place, value in zip(places, answer.probabilities):
                whole.probabilities[place] = value
    return whole


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
    """The rows, objects without the members of these names."""
    if not extra:
        return rows
    return [_inputs(row, extra) if isinstance(row, dict) else row for row in rows]


def _inputs(row: dict[str, Any], extra: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in extra}


def names(rows: list[Any]) -> list[str] | None:
    """Of the members of objects; None where there are none."""
    objects = [row for row in rows if isinstance(row, dict)]
    return list(dict.fromkeys(name for row in objects for name in row)) if objects else None


def value(row: Any, index: int, name: str) -> Any:
    """One value of a row, None where it has none."""
    if isinstance(row, dict):
        return row.get(name)
    if isinstance(row, list):
        return row[index] if index < len(row) else None
    return row if index == 0 else None


def listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
