"""What two models said of the same rows, put side by side: class by class, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelpack.parity.compare import relative_difference
from modelpack.types import Scalar


@dataclass(frozen=True)
class Said:
    """What a model said of rows, one entry a row. `errors`: None where it answered.
    `classes`: the order of the probabilities.
    """

    errors: tuple[str | None, ...]
    predictions: tuple[Any, ...]
    probabilities: tuple[Any, ...] | None = None
    classes: tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class Asked:
    """The rows, as OLD takes them. `made_up`: from its signature. `labels`: a prediction is a name,
    and no amount.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    made_up: bool = False
    tolerance: float = 0.0
    labels: bool = False


@dataclass(frozen=True)
class Pair:
    """What both said of a row, of which the probabilities are those of the classes of both."""

    number: int
    old: Any
    new: Any
    old_probabilities: Any
    new_probabilities: Any

    def apart(self, asked: Asked) -> bool:
        """Whether the predictions differ."""
        return relative_difference(self.old, self.new) > (0.0 if asked.labels else asked.tolerance)

    def shifted(self, asked: Asked) -> bool:
        """Whether the probabilities differ."""
        return relative_difference(self.old_probabilities, self.new_probabilities) > asked.tolerance


def errors(old: Said, new: Said) -> Iterator[tuple[str | None, str | None]]:
    """What both said against each row."""
    return zip(old.errors, new.errors, strict=True)


def side_by_side(old: Said, new: Said) -> Iterator[Pair]:
    """Of the rows that both answered."""
    places = _places(old.classes, new.classes)
    for number, against in enumerate(errors(old, new)):
        if against == (None, None):
            chances = None, None
            if old.probabilities and new.probabilities:
                chances = _by_class(old.probabilities[number], new.probabilities[number], places)
            yield Pair(number, old.predictions[number], new.predictions[number], *chances)


def _places(
    old: Sequence[Scalar] | None, new: Sequence[Scalar] | None
) -> list[tuple[int, int]] | None:
    """Positions of the classes of both; None where they are the same, or not known."""
    if not old or not new or old == new:
        return None
    found = {(type(label), label): place for place, label in enumerate(new)}
    pairs = [(place, found.get((type(label), label))) for place, label in enumerate(old)]
    return [(was, now) for was, now in pairs if now is not None]


def _by_class(old: Any, new: Any, places: list[tuple[int, int]] | None) -> tuple[Any, Any]:
    if places is None or any(isinstance(value, list) for value in (*old, *new)):
        return old, new
    return [old[was] for was, _ in places], [new[now] for _, now in places]
