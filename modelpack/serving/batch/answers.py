"""Answers to some rows, and as the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Sequence, Tuple

Column = Tuple[str, Sequence[Any]]


@dataclass(frozen=True)
class Answered:
    """`predictions`: a JSON value a row; None for a row that has no answer. `probabilities`: one
    {label: p} a row, or a list of them. `kept`: columns of the rows themselves, by name.
    """

    predictions: Sequence[Any]
    probabilities: Sequence[Any] | None = None
    kept: Sequence[Column] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.predictions)


def columns(answered: Answered, first: Answered) -> list[Column]:
    """A table of the answers: what was kept, `prediction`, `probability of LABEL`. A model of
    several outputs has these by number. `first`: answers that have a value, to learn that from.
    """
    found = [*answered.kept, *_spread("prediction", answered.predictions, first.predictions)]
    if answered.probabilities is not None and first.probabilities is not None:
        found += _labelled(answered.probabilities, first.probabilities)
    return found


def _spread(name: str, values: Sequence[Any], first: Sequence[Any]) -> Iterator[Column]:
    example = next((value for value in first if value is not None), None)
    if not isinstance(example, list):
        yield name, values
        return
    nothing = [None] * len(example)
    rows = [nothing if value is None else value for value in values]
    for index, part in enumerate(example):
        yield from _spread(f"{name} {index}", [row[index] for row in rows], [part])


def _labelled(values: Sequence[Any], first: Sequence[Any]) -> Iterator[Column]:
    example = next((value for value in first if value is not None), None)
    if isinstance(example, dict):
        for name in example:
            yield f"probability of {name}", [row and row[name] for row in values]
    else:
        for index, part in enumerate(example or []):
            rows = [row and row[index] for row in values]
            for name, column in _labelled(rows, [part]):
                yield f"{name} {index}", column
