"""Predictions of the same rows.

Labels differ or do not; numbers differ by more than the tolerance, relative to the larger of both
and 1, as in the smoke test. Probabilities are compared class by class, whatever their order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelpack.parity.compare import INCOMPARABLE, relative_difference
from modelpack.types import Scalar

from .report import Change, Impact, PredictionSection, RowDifference, Verdict, counted

_LONGEST = 60


def not_asked(why: Sequence[str]) -> PredictionSection:
    """Of what cannot be compared."""
    return PredictionSection("unknown", "not compared", unknown=tuple(why))


def one_side_failed(which: str, why: str) -> PredictionSection:
    """Of two models of which only one answers at all; `which` does not: "OLD" or "NEW"."""
    impact: Impact = "breaking" if which == "NEW" else "compatible"
    kind = "removed" if which == "NEW" else "added"
    change = Change(kind, "answers", which, impact=impact, note=why)  # type: ignore[arg-type]
    return PredictionSection(impact, f"{which} does not answer", (change,))  # type: ignore[arg-type]


def compare(asked: QueriedRows, old: ModelAnswers, new: ModelAnswers) -> PredictionSection:
    pairs = list(side_by_side(old, new))
    apart = [pair for pair in pairs if pair.apart(asked)]
    rows = [_row(asked, pair) for pair in pairs if pair.apart(asked) or pair.shifted(asked)]
    rows += _refusals(asked, old, new)
    figures = {} if asked.labels else _largest([(pair.old, pair.new) for pair in pairs])
    chances = _largest([(pair.old_probabilities, pair.new_probabilities) for pair in pairs])
    section = PredictionSection(
        _verdict(rows, pairs),
        "",
        changes=tuple(map(_change, sorted(rows, key=_noted))),
        rows=len(asked.rows),
        made_up=asked.made_up,
        tolerance=asked.tolerance,
        compared=len(pairs),
        differing=len(apart),
        refused_now=sum(row.new_error is not None for row in rows),
        answered_now=sum(row.old_error is not None for row in rows),
        absolute=figures.get("absolute"),
        relative=figures.get("relative"),
        probability=chances.get("absolute"),
        differences=tuple(rows),
    )
    return replace(section, summary=_summary(section, labels=asked.labels))


def _noted(row: RowDifference) -> tuple[bool, float]:
    """Other predictions come first, then the probabilities that are furthest apart."""
    if relative_difference(row.old, row.new):
        return False, row.number
    return True, -(row.apart or 0.0)


def _refusals(asked: QueriedRows, old: ModelAnswers, new: ModelAnswers) -> Iterator[RowDifference]:
    """Of the rows that one answers and the other refuses."""
    for number, (before, after) in enumerate(errors(old, new)):
        if (before is None) != (after is None):
            row = asked.rows[number]
            yield RowDifference(number, row, old_error=before, new_error=after)


def _row(asked: QueriedRows, pair: RowAnswers) -> RowDifference:
    apart = max(
        0.0 if asked.labels else relative_difference(pair.old, pair.new),
        relative_difference(pair.old_probabilities, pair.new_probabilities),
    )
    known = (
        None
        if apart == INCOMPARABLE or (asked.labels and pair.old_probabilities is None)
        else apart
    )
    return RowDifference(
        pair.number,
        asked.rows[pair.number],
        pair.old,
        pair.new,
        pair.old_probabilities,
        pair.new_probabilities,
        known,
    )


def _largest(pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """The largest differences of two numbers in the same place; empty where there are none."""
    numbers = [both for a, b in pairs for both in _numbers(a, b)]
    if not numbers:
        return {}
    return {
        "absolute": max(abs(a - b) for a, b in numbers),
        "relative": max(relative_difference(a, b) for a, b in numbers),
    }


def _numbers(a: Any, b: Any) -> Iterator[tuple[float, float]]:
    """Finite ones alone; of one and what is none, nothing."""
    if isinstance(a, list) and isinstance(b, list):
        for one, other in zip(a, b, strict=False):
            yield from _numbers(one, other)
    elif _is_number(a) and _is_number(b) and relative_difference(a, b) != INCOMPARABLE:
        yield a, b


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _verdict(rows: Sequence[RowDifference], pairs: Sequence[RowAnswers]) -> Verdict:
    if any(row.new_error is not None for row in rows):
        return "breaking"
    if any(row.old_error is None for row in rows):
        return "changed"
    return "compatible" if rows else "same" if pairs else "unknown"


def _summary(found: PredictionSection, *, labels: bool) -> str:
    told = []
    if found.refused_now:
        told.append(f"NEW refuses {counted(found.refused_now, 'row')} that OLD answers")
    if found.compared:
        told.append(_of_compared(found, "label" if labels else "value"))
    if found.probability:
        told.append(f"probabilities by up to {found.probability:.2g}")
    return "; ".join(told) or "no row that both answer"


def _of_compared(found: PredictionSection, what: str) -> str:
    made = "made-up " if found.made_up else ""
    rows = f"{found.compared:,} {made}row{'' if found.compared == 1 else 's'}"
    if not found.differing:
        how = f" within {found.tolerance:g}" if found.tolerance else ""
        return f"{rows} answered with the same {what}s{how}"
    by = ""
    if found.absolute is not None and found.relative is not None:
        by = f", by up to {found.absolute:.4g} ({found.relative:.2%})"
    return f"{found.differing:,} of {rows} with another {what}{by}"


def _change(row: RowDifference) -> Change:
    name = str(row.number)
    if row.new_error is not None:
        return Change("removed", "row", name, impact="breaking", note=row.new_error)
    if row.old_error is not None:
        return Change("added", "row", name, impact="compatible", note=row.old_error)
    note = f"apart by {row.apart:.2g}" if row.apart else ""
    if relative_difference(row.old, row.new) == 0:
        was, now = _brief(row.old_probabilities), _brief(row.new_probabilities)
        return Change("changed", "row probabilities", name, was, now, note=f"probabilities {note}")
    return Change("changed", "row", name, _brief(row.old), _brief(row.new), note=note)


def _brief(value: Any) -> str:
    """A value of an answer, a number to six digits, one of many to three."""
    text = value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _rounded(value: Any, digits: int = 6) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(item, 3) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class ModelAnswers:
    """What a model said of rows, one entry a row. `errors`: None where it answered.
    `classes`: the order of the probabilities.
    """

    errors: tuple[str | None, ...]
    predictions: tuple[Any, ...]
    probabilities: tuple[Any, ...] | None = None
    classes: tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class QueriedRows:
    """The rows, as OLD takes them. `made_up`: from its signature. `labels`: a prediction is a name,
    and no amount.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    made_up: bool = False
    tolerance: float = 0.0
    labels: bool = False


@dataclass(frozen=True)
class RowAnswers:
    """What both said of a row, of which the probabilities are those of the classes of both."""

    number: int
    old: Any
    new: Any
    old_probabilities: Any
    new_probabilities: Any

    def apart(self, asked: QueriedRows) -> bool:
        """Whether the predictions differ."""
        return relative_difference(self.old, self.new) > (0.0 if asked.labels else asked.tolerance)

    def shifted(self, asked: QueriedRows) -> bool:
        """Whether the probabilities differ."""
        return relative_difference(self.old_probabilities, self.new_probabilities) > asked.tolerance


def errors(old: ModelAnswers, new: ModelAnswers) -> Iterator[tuple[str | None, str | None]]:
    """What both said against each row."""
    return zip(old.errors, new.errors, strict=True)


def side_by_side(old: ModelAnswers, new: ModelAnswers) -> Iterator[RowAnswers]:
    """Of the rows that both answered."""
    places = _places(old.classes, new.classes)
    for number, against in enumerate(errors(old, new)):
        if against == (None, None):
            chances = None, None
            if old.probabilities and new.probabilities:
                chances = _by_class(old.probabilities[number], new.probabilities[number], places)
            yield RowAnswers(number, old.predictions[number], new.predictions[number], *chances)


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
