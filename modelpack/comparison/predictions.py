"""Predictions of the same rows.

Labels are equal or not. Numbers differ if their difference, relative to the larger of both and 1,
is above the tolerance, as in the smoke test. Probabilities are compared by class.
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

_MAX_TEXT = 60


def not_compared(why: Sequence[str]) -> PredictionSection:
    """Return the section for predictions that cannot be compared."""
    return PredictionSection("unknown", "not compared", unknown=tuple(why))


def one_side_failed(which: str, why: str) -> PredictionSection:
    """Return the section if one side, `which`, does not answer at all."""
    impact: Impact = "breaking" if which == "NEW" else "compatible"
    kind = "removed" if which == "NEW" else "added"
    change = Change(kind, "answers", which, impact=impact, note=why)  # type: ignore[arg-type]
    return PredictionSection(impact, f"{which} returns no predictions", (change,))  # type: ignore[arg-type]


def compare(queried: QueriedRows, old: ModelAnswers, new: ModelAnswers) -> PredictionSection:
    """Compare the answers of both sides."""
    pairs = list(pair_answers(old, new))
    differing = [pair for pair in pairs if pair.has_other_prediction(queried)]
    rows = [
        _row(queried, pair)
        for pair in pairs
        if pair.has_other_prediction(queried) or pair.has_other_probabilities(queried)
    ]
    rows += _refusals(queried, old, new)
    figures = {} if queried.labels else _largest([(pair.old, pair.new) for pair in pairs])
    chances = _largest([(pair.old_probabilities, pair.new_probabilities) for pair in pairs])
    section = PredictionSection(
        _verdict(rows, pairs),
        "",
        changes=tuple(map(_change, sorted(rows, key=_importance))),
        rows=len(queried.rows),
        made_up=queried.made_up,
        recorded=queried.recorded,
        tolerance=queried.tolerance,
        compared=len(pairs),
        differing=len(differing),
        refused_now=sum(row.new_error is not None for row in rows),
        answered_now=sum(row.old_error is not None for row in rows),
        absolute=figures.get("absolute"),
        relative=figures.get("relative"),
        probability=chances.get("absolute"),
        differences=tuple(rows),
    )
    return replace(section, summary=_summary(section, labels=queried.labels))


def _importance(row: RowDifference) -> tuple[bool, float]:
    """Return a sort key: other predictions first, then the most different probabilities."""
    if relative_difference(row.old, row.new):
        return False, row.number
    return True, -(row.apart or 0.0)


def _refusals(
    queried: QueriedRows, old: ModelAnswers, new: ModelAnswers
) -> Iterator[RowDifference]:
    """Yield the rows that only one side answers."""
    for number, (before, after) in enumerate(errors(old, new)):
        if (before is None) != (after is None):
            row = queried.rows[number]
            yield RowDifference(number, row, old_error=before, new_error=after)


def _row(queried: QueriedRows, pair: RowAnswers) -> RowDifference:
    difference = max(
        0.0 if queried.labels else relative_difference(pair.old, pair.new),
        relative_difference(pair.old_probabilities, pair.new_probabilities),
    )
    is_known = difference != INCOMPARABLE
    if queried.labels and pair.old_probabilities is None:
        is_known = False
    return RowDifference(
        pair.number,
        queried.rows[pair.number],
        pair.old,
        pair.new,
        pair.old_probabilities,
        pair.new_probabilities,
        difference if is_known else None,
    )


def _largest(pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """Return the largest differences of two numbers; empty without numbers."""
    numbers = [both for a, b in pairs for both in _numbers(a, b)]
    if not numbers:
        return {}
    return {
        "absolute": max(abs(a - b) for a, b in numbers),
        "relative": max(relative_difference(a, b) for a, b in numbers),
    }


def _numbers(a: Any, b: Any) -> Iterator[tuple[float, float]]:
    """Yield the pairs of finite numbers."""
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


def _summary(section: PredictionSection, *, labels: bool) -> str:
    parts = []
    if section.refused_now:
        parts.append(f"NEW refuses {counted(section.refused_now, 'row')} that OLD accepts")
    if section.compared:
        parts.append(_compared_summary(section, "label" if labels else "value"))
    if section.probability:
        parts.append(f"probabilities differ by up to {section.probability:.2g}")
    return "; ".join(parts) or "no row that both accept"


def _compared_summary(section: PredictionSection, what: str) -> str:
    generated = section.rows - section.recorded if section.made_up else 0
    kind = "generated " if generated == section.rows else ""
    rows = f"{section.compared:,} {kind}row{'' if section.compared == 1 else 's'}"
    if 0 < generated < section.rows:
        rows += f" ({generated:,} of {section.rows:,} generated)"
    if not section.differing:
        how = f" within {section.tolerance:g}" if section.tolerance else ""
        return f"{rows} with the same {what}s{how}"
    by = ""
    if section.absolute is not None and section.relative is not None:
        by = f", by up to {section.absolute:.4g} ({section.relative:.2%})"
    return f"{section.differing:,} of {rows} with a different {what}{by}"


def _change(row: RowDifference) -> Change:
    name = str(row.number)
    if row.new_error is not None:
        return Change("removed", "row", name, impact="breaking", note=row.new_error)
    if row.old_error is not None:
        return Change("added", "row", name, impact="compatible", note=row.old_error)
    note = f"apart by {row.apart:.2g}" if row.apart else ""
    if relative_difference(row.old, row.new) == 0:
        was, now = _short_text(row.old_probabilities), _short_text(row.new_probabilities)
        return Change("changed", "row probabilities", name, was, now, note=f"probabilities {note}")
    return Change("changed", "row", name, _short_text(row.old), _short_text(row.new), note=note)


def _short_text(value: Any) -> str:
    """Return an answer as short text: a number with six digits, those of lists with three."""
    text = value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


def _rounded(value: Any, digits: int = 6) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(item, 3) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class ModelAnswers:
    """The answers of a model, one entry per row.

    Attributes:
        errors: None for rows with an answer.
        classes: The order of the probabilities.
    """

    errors: tuple[str | None, ...]
    predictions: tuple[Any, ...]
    probabilities: tuple[Any, ...] | None = None
    classes: tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class QueriedRows:
    """The rows in the signature of OLD.

    Attributes:
        made_up: All rows but the first `recorded` ones were generated.
        labels: The predictions are labels.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    made_up: bool = False
    recorded: int = 0
    tolerance: float = 0.0
    labels: bool = False


@dataclass(frozen=True)
class RowAnswers:
    """The answers of both sides to a row, with the probabilities of their common classes."""

    number: int
    old: Any
    new: Any
    old_probabilities: Any
    new_probabilities: Any

    def has_other_prediction(self, queried: QueriedRows) -> bool:
        tolerance = 0.0 if queried.labels else queried.tolerance
        return relative_difference(self.old, self.new) > tolerance

    def has_other_probabilities(self, queried: QueriedRows) -> bool:
        difference = relative_difference(self.old_probabilities, self.new_probabilities)
        return difference > queried.tolerance


def errors(old: ModelAnswers, new: ModelAnswers) -> Iterator[tuple[str | None, str | None]]:
    """Yield the errors of both sides for each row."""
    return zip(old.errors, new.errors, strict=True)


def pair_answers(old: ModelAnswers, new: ModelAnswers) -> Iterator[RowAnswers]:
    """Yield the rows that both sides answered."""
    positions = _class_positions(old.classes, new.classes)
    for number, pair in enumerate(errors(old, new)):
        if pair == (None, None):
            chances = None, None
            if old.probabilities and new.probabilities:
                chances = _by_class(old.probabilities[number], new.probabilities[number], positions)
            yield RowAnswers(number, old.predictions[number], new.predictions[number], *chances)


def _class_positions(
    old: Sequence[Scalar] | None, new: Sequence[Scalar] | None
) -> list[tuple[int, int]] | None:
    """Return the positions of common classes; None if all are the same, or not known."""
    if not old or not new or old == new:
        return None
    in_new = {(type(label), label): position for position, label in enumerate(new)}
    pairs = [(position, in_new.get((type(label), label))) for position, label in enumerate(old)]
    return [(was, now) for was, now in pairs if now is not None]


def _by_class(old: Any, new: Any, positions: list[tuple[int, int]] | None) -> tuple[Any, Any]:
    if positions is None or any(isinstance(value, list) for value in (*old, *new)):
        return old, new
    return [old[was] for was, _ in positions], [new[now] for _, now in positions]
