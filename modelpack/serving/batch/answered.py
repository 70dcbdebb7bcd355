"""Answers to some rows, with what is kept of the rows themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

import numpy as np

from .. import answers
from ..answers import Answer
from ..problems import Problem


@dataclass(frozen=True)
class Answered:
    """`kept`: name -> values, a column of the rows."""

    answer: Answer
    kept: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.answer.predictions)

    def columns(self) -> dict[str, Any]:
        """Name -> values: what is kept, then `answers.columns`.

        Raises:
            Problem: 400 two of them are of one name.
        """
        found = answers.columns(self.answer)
        for name in self.kept:
            if name in found:
                detail = f"The column {name!a} cannot be kept: the answers have one of that name."
                raise Problem(400, detail)
        return {**self.kept, **found}


def joined(low: Answer, high: Answer) -> Answer:
    """Answers one after the other."""
    predictions = np.concatenate([low.predictions, high.predictions])
    if low.probabilities is None or high.probabilities is None:
        return Answer(predictions)
    return Answer(predictions, [*low.probabilities, *high.probabilities])


def spread(answer: Answer | None, places: list[int], count: int, like: Answer) -> Answer:
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


def _blank(like: Answer, count: int) -> Answer:
    shape, dtype = (count, *like.predictions.shape[1:]), like.predictions.dtype
    is_float = dtype.kind == "f"
    predictions = np.full(shape, np.nan if is_float else None, dtype if is_float else object)
    if not like.probabilities:
        return Answer(predictions, like.probabilities)
    return Answer(predictions, [_nothing(like.probabilities[0])] * count)


def _nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nothing(part) for name, part in value.items()}
    return [_nothing(part) for part in value] if isinstance(value, list) else None
